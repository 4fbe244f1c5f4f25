// js-waku in Node.js.

import "./node20.mjs";
import { serve, tell } from "./lines.mjs";
import { Driver } from "./driver.mjs";

const driver = new Driver(`Node.js ${process.versions.node}`, tell);
serve({ ask: (question) => driver.ask(question), stop: () => driver.stop() });
