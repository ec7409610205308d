import assert from "node:assert/strict";
import { test } from "node:test";

import { plan, Prefix } from "../src/plan.js";

const names = (runs) => runs.map(({ signature, count }) => `${signature}:${count}`).join(" ");

test("what two prompts share is reused, but the last token is computed", () => {
  const prefix = new Prefix();
  prefix.tokens.push(1, 2, 3, 4);
  assert.equal(prefix.reuse([1, 2, 9, 4]), 2);
  assert.deepEqual(prefix.tokens, [1, 2]);
  assert.equal(prefix.reuse([1, 2]), 1);
  assert.equal(prefix.reuse([]), 0);
});

test("few tokens are decoded one by one, many go in chunks", () => {
  assert.equal(names(plan(1, 8)), "decode:1");
  assert.equal(names(plan(3, 8)), "decode:1 decode:1 decode:1");
  assert.equal(names(plan(7, 8)), "prefill_8:6 decode:1");
  assert.equal(names(plan(11, 8)), "prefill_8:8 decode:1 decode:1 decode:1");
  assert.equal(names(plan(18, 8)), "prefill_8:8 prefill_8:8 decode:1 decode:1");
});

test("without chunks every token is decoded", () => {
  assert.equal(names(plan(3, null)), "decode:1 decode:1 decode:1");
});

test("every plan computes all tokens and ends with logits", () => {
  for (const width of [null, 4, 8, 32]) {
    for (let count = 1; count < 100; count += 1) {
      const runs = plan(count, width);
      assert.equal(runs.at(-1).signature, "decode");
      assert.equal(
        runs.reduce((sum, run) => sum + run.count, 0),
        count,
      );
    }
  }
});
