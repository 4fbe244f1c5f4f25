// `npm run check`: types, unit tests, and whether dist is what the sources make.

import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { bundle, files, root } from "./bundle.mjs";

/** All that the program carries, in bytes. */
const MAX_SIZE = 120_000;

class Failed extends Error {}

const scratch = await mkdtemp(join(tmpdir(), "node-manager-web-"));
try {
  run("types", process.execPath, ["node_modules/typescript/bin/tsc", "-p", "."]);
  run("types of the tests", process.execPath, ["node_modules/typescript/bin/tsc", "-p", "test"]);
  run("unit tests", process.execPath, ["--test", "--test-reporter=dot", await bundledTests()]);
  await checkDist();
  console.log("All is well.");
} catch (error) {
  console.error(error instanceof Failed ? error.message : error);
  process.exitCode = 1;
} finally {
  await rm(scratch, { recursive: true, force: true });
}

function run(what, program, args) {
  console.log(`== ${what}`);
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: "inherit" });
  if (error) throw error;
  if (status !== 0) fail(`${what}: status ${status}`);
}

/** Node.js 20 reads no TypeScript. */
async function bundledTests() {
  const folder = join(root, "test/unit");
  const tests = (await readdir(folder)).filter((name) => name.endsWith(".test.ts")).sort();
  const outfile = join(scratch, "unit.mjs");
  await build({
    stdin: { contents: tests.map((test) => `import "./${test}";`).join("\n"), resolveDir: folder },
    bundle: true,
    platform: "node",
    format: "esm",
    sourcemap: "inline",
    outfile,
    logLevel: "warning",
  });
  return outfile;
}

async function checkDist() {
  console.log("== dist");
  const fresh = join(scratch, "dist");
  await bundle(fresh);
  const committed = (await readdir(join(root, "dist"))).sort();
  if (committed.join() !== files.join()) fail(`dist holds ${committed.join(", ")}; expected ${files.join(", ")}`);
  let size = 0;
  for (const file of files) {
    const [ours, theirs] = await Promise.all([readFile(join(root, "dist", file)), readFile(join(fresh, file))]);
    if (!ours.equals(theirs)) fail(`dist/${file} is not what the sources make; run \`npm run build\` and commit dist`);
    size += ours.length;
  }
  if (size > MAX_SIZE) fail(`dist has ${size} bytes; ${MAX_SIZE} are allowed`);
}

function fail(why) {
  throw new Failed(why);
}
