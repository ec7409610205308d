import { ServerBackend } from "./server.js";

/** Where the model runs: the server, or this device, which fetches the model first. */
export class Place {
  #element;
  #preferences;
  #words;
  #events;
  #server = new ServerBackend();
  #device = null;
  #models = [];
  #state = { name: "off" };

  /**
   * `events` has `onBackend(backend, connect)`, `onModel(model)` with an entry of
   * `GET /v1/models`, and `onChange(name)` for preferences.
   */
  constructor(element, preferences, words, events) {
    this.#element = element;
    this.#preferences = preferences;
    this.#words = words;
    this.#events = events;
    for (const radio of this.#all('[name="place"]')) {
      radio.checked = radio.value === preferences.place;
      radio.addEventListener("change", () => void this.choose(radio.value));
    }
    this.#one("#model").addEventListener("change", (event) => this.#chose(event.target.value));
    this.#one("#device-download").addEventListener("click", () => this.#useDevice());
    this.#one("#device-cancel").addEventListener("click", () => void this.choose("server"));
    this.#one("#device-remove").addEventListener("click", () => void this.#remove());
  }

  set words(words) {
    this.#words = words;
    this.#draw();
  }

  /** The key the server asks for. */
  set key(key) {
    this.#server.key = key;
  }

  /** Begins where the reader last chose to. */
  begin() {
    void this.choose(this.#preferences.place);
  }

  /** Runs on "server" from now on, or offers "device", and goes there if its model is here. */
  async choose(place) {
    for (const radio of this.#all('[name="place"]')) radio.checked = radio.value === place;
    if (place === "server") {
      this.#device?.stop();
      this.#set({ name: "off" });
      this.#prefer("server");
      this.#events.onBackend(this.#server, () => this.#connect(this.#server));
      return;
    }
    try {
      const { DeviceBackend } = await import("./device.js");
      const support = await DeviceBackend.support();
      if (!support.ok) return this.#refuse(support.reason);
      this.#device ??= new DeviceBackend();
      const model = await this.#deviceModel();
      if (!model) return this.#refuse("model");
      const stored = (await this.#device.stored()).find((entry) => entry.model === model);
      if (stored) return this.#useDevice();
      this.#set({ name: "offer", bytes: await sizeOf(model) });
    } catch {
      this.#refuse("not-built");
    }
  }

  #useDevice() {
    this.#set({ name: "downloading" });
    this.#events.onBackend(this.#device, () => this.#start());
  }

  async #start() {
    const device = this.#device;
    try {
      const model = await this.#deviceModel();
      await device.start(model, (status) => this.#set({ name: status.state, ...status }));
      const stored = (await device.stored()).find((entry) => entry.model === model);
      this.#set({ name: "ready", bytes: stored?.size_bytes ?? 0 });
      this.#prefer("device");
      await this.#connect(device);
    } catch (error) {
      this.#set({ name: "off" });
      if (error.name === "AbortError") throw error;
      throw Object.assign(new Error(error.message), { code: "device" });
    }
  }

  async #connect(backend) {
    this.#models = await backend.models();
    const chosen = this.#preferences.model;
    if (!this.#models.some((model) => model.id === chosen)) this.#preferences.model = null;
    const model = this.#models.find(({ id }) => id === this.#preferences.model);
    this.#draw();
    this.#events.onModel(model ?? this.#models[0] ?? null);
  }

  /** The model to run here: the chosen one if it can, else the first that can. */
  async #deviceModel() {
    const models = (await this.#device.models()).filter((model) => model.device !== false);
    const chosen = models.find((model) => model.id === this.#preferences.model);
    return (chosen ?? models[0])?.id ?? null;
  }

  async #remove() {
    const model = await this.#deviceModel();
    await this.#device.remove(model);
    await this.choose("server");
  }

  #chose(id) {
    this.#preferences.model = id;
    this.#events.onChange("model");
    if (this.#preferences.place === "device") void this.choose("device");
    else this.#events.onModel(this.#models.find((model) => model.id === id));
  }

  #refuse(reason) {
    this.#set({ name: "refused", reason });
    for (const radio of this.#all('[name="place"]')) radio.checked = radio.value === "server";
    if (this.#preferences.place === "device") {
      this.#prefer("server");
      this.#events.onBackend(this.#server, () => this.#connect(this.#server));
    }
  }

  #prefer(place) {
    if (this.#preferences.place === place) return;
    this.#preferences.place = place;
    this.#events.onChange("place");
  }

  #set(state) {
    this.#state = state;
    this.#draw();
  }

  #draw() {
    const state = this.#state;
    const note = this.#one("#device-note");
    note.textContent = this.#note(state);
    note.hidden = note.textContent === "";
    const busy = ["downloading", "checking", "loading"].includes(state.name);
    const progress = this.#one("#device-progress");
    progress.hidden = !busy;
    if (state.total_bytes) progress.value = state.done_bytes / state.total_bytes;
    else progress.removeAttribute("value");
    const download = this.#one("#device-download");
    download.hidden = state.name !== "offer";
    download.textContent = this.#words.say("download", { size: this.#size(state.bytes) });
    this.#one("#device-cancel").hidden = !busy;
    this.#one("#device-remove").hidden = state.name !== "ready";
    const select = this.#one("#model");
    select.replaceChildren(...this.#models.map(({ id }) => new Option(id, id)));
    if (this.#preferences.model) select.value = this.#preferences.model;
    this.#one("#models").hidden = this.#models.length === 0;
  }

  #note(state) {
    const words = this.#words;
    switch (state.name) {
      case "offer":
        return words.say("download_once");
      case "downloading": {
        if (!state.total_bytes) return words.say("preparing");
        const [done, total] = [this.#size(state.done_bytes), this.#size(state.total_bytes)];
        return words.say("downloading", { done, total });
      }
      case "checking":
        return words.say("checking");
      case "loading":
        return words.say("preparing");
      case "ready":
        return words.say("on_device", { size: this.#size(state.bytes) });
      case "refused":
        return this.#refusal(state.reason);
      default:
        return "";
    }
  }

  #refusal(reason) {
    const keys = {
      "wasm-simd": "no_device_wasm_simd",
      storage: "no_device_storage",
      "not-built": "no_device_not_built",
      model: "no_device_model",
    };
    return this.#words.say(keys[reason] ?? "no_device_other", { reason });
  }

  #size(bytes) {
    return this.#words.megabytes(bytes ?? 0);
  }

  #one(selector) {
    return this.#element.querySelector(selector);
  }

  #all(selector) {
    return this.#element.querySelectorAll(selector);
  }
}

/** How many bytes a model's files for the browser have. */
async function sizeOf(model) {
  const response = await fetch(`/device/${encodeURIComponent(model)}/device.json`);
  const { files } = await response.json();
  return files.reduce((sum, file) => sum + file.size_bytes, 0);
}
