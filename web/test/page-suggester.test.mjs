import assert from "node:assert/strict";
import { test } from "node:test";

import { Suggester } from "../../src/foreword/server/static/page/suggester.js";

/** A backend that answers when it is told to, and a suggester that asks it. */
function desk() {
  const asked = [];
  const backend = {
    suggest: (request, { signal, onWords }) =>
      new Promise((resolve, reject) => {
        signal?.addEventListener("abort", () => reject(signal.reason));
        asked.push({ ...request, signal, onWords, resolve, reject });
      }),
  };
  const seen = [];
  const suggester = new Suggester(() => seen.push(suggester.ghost));
  let connected = 0;
  suggester.use(backend, async () => (connected += 1));
  return { asked, backend, seen, suggester, connections: () => connected };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));
const answerOf = (...texts) => ({
  items: texts.map((text) => ({ text, confidence: 0.5, tokens: 1, by_part: [] })),
  refused: null,
  context_tokens: 1,
  computed_tokens: 1,
  latency_ms: 1,
  superseded: false,
});
const failure = (code, more = {}) => Object.assign(new Error("why"), { code, ...more });

test("every change asks anew and calls off what was asked before", async () => {
  const { asked, suggester, connections } = desk();
  for (const text of ["a", "ab", "abc"]) {
    suggester.moved(text, false);
    await settled();
  }
  assert.deepEqual(asked.map(({ text }) => text), ["a", "ab", "abc"]);
  assert.deepEqual(asked.map(({ signal }) => signal.aborted), [true, true, false]);
  assert.equal(connections(), 1);
});

test("letters that agree with the first words keep the rest in sight", async () => {
  const { asked, suggester, seen } = desk();
  suggester.moved("Thank", false);
  await settled();
  asked[0].onWords(" you very");
  suggester.moved("Thank y", false);
  assert.equal(suggester.ghost, "ou very");
  await settled();
  seen.length = 0;
  asked[1].onWords("ou");
  asked[1].onWords("ou very");
  asked[1].onWords("ou very much");
  asked[1].resolve(answerOf("ou very much"));
  await settled();
  assert.deepEqual(new Set(seen), new Set(["ou very much"]), "nothing flickers");
});

test("letters that do not agree take the suggestion away at once", async () => {
  const { asked, suggester } = desk();
  suggester.moved("Thank", false);
  await settled();
  asked[0].onWords(" you");
  suggester.moved("Thanks", false);
  assert.equal(suggester.ghost, "");
  asked[0].onWords(" you very");
  assert.equal(suggester.ghost, "", "what was called off is not heard");
});

test("where nothing is to be suggested nothing is asked", async () => {
  const { asked, suggester } = desk();
  suggester.moved("Thank", true);
  suggester.moved(" \n ", false);
  await settled();
  assert.deepEqual(asked, []);
});

test("what follows the suggestion is found ahead, and its failure is nobody's", async () => {
  const { asked, suggester } = desk();
  suggester.moved("a", false);
  await settled();
  asked[0].resolve(answerOf(" b"));
  await settled();
  assert.equal(asked[1].text, "a b");
  asked[1].reject(failure("busy"));
  await settled();
  assert.equal(suggester.problem, null);
  assert.equal(suggester.ghost, " b");
});

test("a failure stands until an answer comes, and is not asked about meanwhile", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { asked, suggester } = desk();
  suggester.moved("a", false);
  await settled();
  asked[0].reject(failure("busy", { retryAfter: 3 }));
  await settled();
  assert.deepEqual(suggester.problem, { code: "busy", message: "why", waitS: 3 });
  suggester.moved("ab", false);
  await settled();
  assert.equal(asked.length, 1);
  t.mock.timers.tick(3000);
  await settled();
  assert.equal(asked[1].text, "ab");
  assert.equal(suggester.problem.code, "busy");
  asked[1].resolve(answerOf(" c"));
  await settled();
  assert.equal(suggester.problem, null);
});

test("what only the reader can mend waits for them, also when connecting", async () => {
  const { asked, backend, suggester } = desk();
  let tries = 0;
  suggester.use(backend, async () => {
    tries += 1;
    if (tries < 3) throw failure("api_key");
  });
  await settled();
  assert.equal(suggester.problem.code, "api_key");
  suggester.moved("a", false);
  await settled();
  assert.equal(tries, 1);
  suggester.retry();
  await settled();
  assert.equal(suggester.problem.code, "api_key");
  suggester.retry();
  await settled();
  assert.equal(tries, 3);
  assert.equal(asked[0].text, "a");
});

test("an answer that something newer took the place of changes nothing", async () => {
  const { asked, suggester } = desk();
  suggester.moved("a", false);
  await settled();
  asked[0].resolve({ ...answerOf(), superseded: true });
  await settled();
  assert.equal(suggester.answer, null);
  assert.equal(suggester.asking, false);
});

test("another backend is asked from the moment it is chosen", async () => {
  const { asked, suggester } = desk();
  suggester.moved("a", false);
  await settled();
  const other = [];
  const silent = { suggest: (request) => (other.push(request.text), new Promise(() => {})) };
  suggester.use(silent, async () => {});
  await settled();
  assert.ok(asked[0].signal.aborted);
  assert.deepEqual(other, ["a"]);
});

test("a key that is given is not judged by a connection begun without it", async () => {
  const { asked, backend, suggester } = desk();
  const connections = [];
  suggester.use(
    backend,
    () => new Promise((resolve, reject) => connections.push({ resolve, reject })),
  );
  suggester.moved("Thank", false);
  await settled();
  suggester.reconnect();
  connections[0].reject(failure("api_key"));
  connections[1].resolve();
  await settled();
  assert.equal(suggester.problem, null);
  assert.equal(asked.length, 1);
  suggester.moved("Thank y", false);
  await settled();
  assert.equal(connections.length, 2);
});
