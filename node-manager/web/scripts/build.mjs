// `npm run build`: makes dist anew.

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { bundle, files, root } from "./bundle.mjs";

const dist = join(root, "dist");
await bundle(dist);
for (const file of files) console.log(`dist/${file}: ${(await stat(join(dist, file))).size} bytes`);
