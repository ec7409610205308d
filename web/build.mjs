/**
 * Builds what a browser needs to run a model: the worker as one classic script, the wasm builds
 * of LiteRT.js, and the notices that their licences ask for.
 */

import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { build } from "esbuild";

const OUT = new URL("../src/foreword/server/static/device/", import.meta.url);
const PACKAGES = ["@litertjs/core", "@litertjs/wasm-utils", "@huggingface/tokenizers"];
// With threads, without, and for browsers without relaxed SIMD. A fourth, for WebGPU and WebNN
// (JSPI), is not used.
const RUNTIMES = ["threaded_internal", "internal", "compat_internal"];

const packageOf = (name) => new URL(`node_modules/${name}/`, import.meta.url);

await rm(OUT, { recursive: true, force: true });
await mkdir(OUT, { recursive: true });
await build({
  entryPoints: ["src/worker.js"],
  outfile: new URL("worker.js", OUT).pathname,
  bundle: true,
  format: "iife",
  target: "es2022",
  minify: true,
  legalComments: "none", // in the notices
  logLevel: "warning",
});
for (const name of RUNTIMES.flatMap((kind) => [
  `litert_wasm_${kind}.js`,
  `litert_wasm_${kind}.wasm`,
])) {
  const data = await readFile(new URL(`wasm/${name}`, packageOf("@litertjs/core")));
  await writeFile(new URL(name, OUT), data);
}
await writeFile(new URL("NOTICES.txt", OUT), await notices());

async function notices() {
  const lines = ["Works of others in these files, all under the Apache License, Version 2.0:", ""];
  for (const name of PACKAGES) {
    const about = JSON.parse(await readFile(new URL("package.json", packageOf(name)), "utf8"));
    if (about.license !== "Apache-2.0") throw new Error(`${name}: licence ${about.license}`);
    lines.push(`  ${name} ${about.version}, ${about.homepage ?? about.repository?.url ?? "npm"}`);
  }
  const licence = await readFile(new URL("../LICENSE", import.meta.url), "utf8");
  return [...lines, "", "@litertjs/*: Copyright 2025 Google LLC.", "", licence].join("\n");
}
