// Makes the three files that the program serves.

import { readFile, rm, mkdir, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { build } from "esbuild";

export const root = dirname(import.meta.dirname);

/** The files there are, and no others. */
export const files = ["index.html", "page.css", "page.js"];

/** Writes the page into a folder, which is made anew. */
export async function bundle(folder) {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const shared = {
    absWorkingDir: root,
    bundle: true,
    minify: true,
    charset: "utf8",
    legalComments: "none",
    logLevel: "warning",
    // What browsers of the last few years have.
    target: ["chrome120", "firefox120", "safari17"],
  };
  await build({
    ...shared,
    entryPoints: ["src/main.tsx"],
    outfile: join(folder, "page.js"),
    format: "iife",
    banner: { js: `/*!\nPreact\n\n${await licence("preact")}\n*/` },
  });
  await build({ ...shared, entryPoints: ["src/page.css"], outfile: join(folder, "page.css") });
  const html = await readFile(join(root, "src/index.html"), "utf8");
  await writeFile(join(folder, "index.html"), html.replace(/>\s+</g, "><").trim() + "\n");
}

/** The licence of a package that is inside the bundle: whoever gets the one gets the other. */
async function licence(name) {
  const manifest = createRequire(import.meta.url).resolve(`${name}/package.json`);
  return (await readFile(join(dirname(manifest), "LICENSE"), "utf8")).trim();
}
