import { setText } from "./set_text.js";

const REASONS = {
  "wasm-simd": "no_device_wasm_simd",
  storage: "no_device_storage",
  "not-built": "no_device_not_built",
  model: "no_device_model",
  insecure: "no_device_insecure",
};
const BUSY = ["downloading", "checking", "loading"];

/** Why a model cannot run in this browser, in words. */
export function reasonOf(reason, words) {
  return words.say(REASONS[reason] ?? "no_device_other", { reason });
}

/**
 * Shows how it stands with the model on this device: a state of `DeviceBackend.start`, or "off",
 * "offer" and "ready" with `bytes`, "refused" with a `reason`. Returns what is being waited for
 * in words, "" where nothing is.
 */
export function drawDevice(element, state, words) {
  const one = (name) => element.querySelector(`#device-${name}`);
  const busy = BUSY.includes(state.name);
  const note = noteOf(state, words);
  setText(one("note"), note);
  one("note").hidden = note === "";
  one("progress").hidden = !busy;
  if (state.total_bytes) one("progress").value = state.done_bytes / state.total_bytes;
  else one("progress").removeAttribute("value");
  one("download").hidden = state.name !== "offer";
  one("download").textContent = state.bytes
    ? words.say("download", { size: words.megabytes(state.bytes) })
    : words.say("download_unknown");
  one("cancel").hidden = !busy;
  one("remove").hidden = state.name !== "ready";
  return busy ? note : "";
}

function noteOf(state, words) {
  const { name, done_bytes: done, total_bytes: total } = state;
  if (name === "offer") return words.say("download_once");
  if (name === "refused") return reasonOf(state.reason, words);
  if (name === "checking") return words.say("checking");
  if (name === "ready") return words.say("on_device", { size: words.megabytes(state.bytes ?? 0) });
  if (name === "downloading" && total) {
    const sizes = { done: words.number(Math.round(done / 1e6)), total: words.megabytes(total) };
    return words.say("downloading", sizes);
  }
  return BUSY.includes(name) ? words.say("preparing") : "";
}
