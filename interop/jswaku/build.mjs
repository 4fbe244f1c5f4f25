// Bundles the two programs. Node.js would take seconds to load the hundreds of files js-waku consists of.

import { build } from "esbuild";

const shared = { absWorkingDir: import.meta.dirname, bundle: true, format: "esm", target: "es2022", logLevel: "warning" };

await build({
  ...shared,
  entryPoints: ["peer.mjs"],
  outfile: "dist/peer.mjs",
  platform: "node",
  // For the CommonJS modules in it.
  banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
});

await build({
  ...shared,
  entryPoints: ["page/page.mjs"],
  outfile: "dist/page.js",
  platform: "browser",
  define: { global: "globalThis" },
});
