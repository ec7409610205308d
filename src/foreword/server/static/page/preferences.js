const KEY = "foreword";

/** What the reader can choose, and what holds until they do. Null is the model's own default. */
export const DEFAULTS = Object.freeze({
  place: "server",
  model: null,
  unit: "tokens",
  context_tokens: null,
  context_words: 25,
  max_words: 4,
  temperature: 0,
  confidence: 0.45,
  accepted: "fade",
  announce: true,
  keep_text: true,
  theme: "auto",
  language: null,
});

const CHOICES = {
  place: ["server", "device"],
  unit: ["tokens", "words"],
  accepted: ["fade", "stay", "off"],
  theme: ["auto", "light", "dark"],
};
const RANGES = {
  context_tokens: [1, 1 << 20],
  context_words: [5, 50],
  max_words: [1, 20],
  temperature: [0, 2],
  confidence: [0, 1],
};

/** The preferences in a stored JSON text; whatever is not valid there is the default. */
export function read(json) {
  let stored;
  try {
    stored = JSON.parse(json ?? "{}");
  } catch {
    stored = {};
  }
  const found = { ...DEFAULTS };
  for (const name of Object.keys(DEFAULTS)) {
    if (isValid(name, stored?.[name])) found[name] = stored[name];
  }
  return found;
}

/** The fields of a request that preferences give. */
export function policyOf(preferences) {
  const { model, unit, context_tokens, context_words, max_words } = preferences;
  const { temperature, confidence } = preferences;
  const inWords = unit === "words";
  return {
    model,
    context_tokens: inWords ? null : context_tokens,
    context_words: inWords ? context_words : null,
    max_words,
    temperature,
    confidence,
  };
}

export function load() {
  return read(localStorage.getItem(KEY));
}

export function save(preferences) {
  localStorage.setItem(KEY, JSON.stringify(preferences));
}

function isValid(name, value) {
  if (name in CHOICES) return CHOICES[name].includes(value);
  if (name in RANGES) {
    const [least, most] = RANGES[name];
    return typeof value === "number" && value >= least && value <= most;
  }
  if (name === "model" || name === "language") return typeof value === "string";
  return typeof value === "boolean";
}
