import assert from "node:assert/strict";
import { test } from "node:test";

import { Engine } from "../src/engine.js";

const VOCABULARY = 10;
const DESCRIPTION = {
  shape: { vocabulary: VOCABULARY },
  special_tokens: { start: 1, end: [2], prepend_start: true },
};

/** A graph whose logits name the sum of the tokens in its cache. */
class FakeGraph {
  context = 24;
  width = 8;
  slots = [];
  runs = [];
  cleared = 0;
  broken = false;

  async run(signature, ids, position) {
    this.runs.push(`${signature}@${position}:${ids.length}`);
    this.slots.splice(position, Infinity, ...ids);
    if (signature !== "decode") return null;
    const logits = new Float32Array(VOCABULARY);
    logits[this.slots.reduce((a, b) => a + b) % VOCABULARY] = this.broken ? NaN : 1;
    return logits;
  }

  clear() {
    this.cleared += 1;
  }
}

function make() {
  const graph = new FakeGraph();
  return { graph, engine: new Engine(graph, DESCRIPTION, null) };
}

test("only what is new of a prompt is computed", async () => {
  const { graph, engine } = make();
  const ids = Array.from({ length: 12 }, (_, i) => i % VOCABULARY);
  await engine.logits(ids);
  assert.deepEqual(graph.runs, ["prefill_8@0:8", "prefill_8@8:3", "decode@11:1"]);
  const logits = await engine.logits([...ids, 4]);
  assert.equal(graph.runs.at(-1), "decode@12:1");
  assert.equal(logits.indexOf(1), graph.slots.reduce((a, b) => a + b) % VOCABULARY);
  assert.equal(engine.computedTokens, 13);
});

test("the end of another text is taken back", async () => {
  const { graph, engine } = make();
  await engine.logits([3, 4, 5, 6]);
  await engine.logits([3, 4, 9]);
  assert.deepEqual(graph.slots, [3, 4, 9]);
});

test("an empty prompt begins with the start token", async () => {
  const { graph, engine } = make();
  await engine.logits([]);
  assert.deepEqual(graph.slots, [1]);
});

test("a prompt that the model cannot take is refused before it runs", async () => {
  const { graph, engine } = make();
  for (const ids of [[-1], [VOCABULARY], [0.5], ["1"], new Array(25).fill(1)]) {
    await assert.rejects(engine.logits(ids), { code: "prompt" });
  }
  assert.deepEqual(graph.runs, []);
});

test("a call that is called off ends between two runs, and keeps what it has", async () => {
  const { graph, engine } = make();
  const controller = new AbortController();
  const run = graph.run.bind(graph);
  graph.run = async (...given) => {
    // As a message does: by the event loop, not by a promise.
    setImmediate(() => controller.abort());
    await new Promise((resolve) => setTimeout(resolve, 5));
    return run(...given);
  };
  const ids = new Array(20).fill(3);
  await assert.rejects(engine.logits(ids, controller.signal), { name: "AbortError" });
  assert.equal(graph.runs.length, 1);
  graph.run = run;
  await engine.logits(ids);
  assert.equal(graph.runs[1], "prefill_8@8:8");
});

test("calls at once wait for each other", async () => {
  const { graph, engine } = make();
  const [one, two] = await Promise.all([engine.logits([1, 2]), engine.logits([1, 5])]);
  assert.equal(one.indexOf(1), 3);
  assert.equal(two.indexOf(1), 6);
  assert.deepEqual(graph.slots, [1, 5]);
});

test("an output that is not finite clears the cache and is an error once", async () => {
  const { graph, engine } = make();
  graph.broken = true;
  await assert.rejects(engine.logits([3, 4]), { code: "weights" });
  assert.equal(graph.cleared, 1);
  graph.broken = false;
  await engine.logits([3, 4]);
  assert.equal(graph.runs.at(-2), "decode@0:1");
});
