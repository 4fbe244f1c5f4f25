// `npm run mock`: the page with hosts that do not exist, to look at by hand. PORT chooses the port.
// A host answers two seconds after a code was made; the digits are 570605.

import { MockApp } from "./mock/app.mjs";
import { CLOCK_DRIFT, MockHost, SERVICE_DOWN } from "./mock/host.mjs";

const hosts = [
  new MockHost({ name: "beacon-01", pairing: "a1b2c3d4e5f60718", alerts: [SERVICE_DOWN] }),
  new MockHost({ name: "attic", pairing: "0f1e2d3c4b5a6978", up: false }),
];
const newHost = ({ name, pairing }) => new MockHost({ name, pairing });
const app = await new MockApp({ hosts, newHost }).start(Number(process.env.PORT ?? 0));
console.log(app.url);

setInterval(() => {
  for (const host of app.hosts.filter((host) => host.up)) host.tick();
}, 3000);
setTimeout(() => hosts[0].raise(CLOCK_DRIFT), 20_000);

let answered = null;
setInterval(() => {
  if (app.pairing === null || app.pairing.step !== "waiting" || app.pairing.code === answered) return;
  const { code } = app.pairing;
  answered = code;
  setTimeout(() => app.pairing?.code === code && void app.hostTypes(code, { name: "cellar" }), 2000);
}, 500);
