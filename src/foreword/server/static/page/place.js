import { DeviceBackend } from "./device.js";
import { drawDevice, reasonOf } from "./device_view.js";
import { BackendError, ServerBackend } from "./server.js";

/**
 * Where the model runs: the server, or this device, which fetches the model first.
 *
 * Who has chosen the device has chosen that the text stays there: where the model is not here
 * yet, was dropped by the browser or does not run, nothing is asked of the server instead.
 */
export class Place {
  #element;
  #preferences;
  #words;
  #events;
  #server = new ServerBackend();
  #device = new DeviceBackend();
  #models = [];
  #state = { name: "off" };

  /**
   * `events` has `onBackend(backend, connect)`, `onModel(model)` with an entry of
   * `GET /v1/models`, `onState(note)` with what the device is busy with, and `onChange(name)`
   * for preferences.
   */
  constructor(element, preferences, words, events) {
    this.#element = element;
    this.#preferences = preferences;
    this.#words = words;
    this.#events = events;
    for (const radio of this.#radios) {
      radio.addEventListener("change", () => void this.choose(radio.value));
    }
    const act = { download: () => this.#use(), cancel: () => this.#cancel() };
    act.remove = () => this.#remove();
    for (const [name, action] of Object.entries(act)) {
      this.#one(`#device-${name}`).addEventListener("click", () => void action());
    }
    this.#one("#model").addEventListener("change", (event) => this.#chose(event.target.value));
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

  /** Runs on the "server" from now on, or on the "device" as soon as its model is here. */
  async choose(place) {
    if (place === "server") return this.#toServer();
    const support = await DeviceBackend.support();
    if (!support.ok) return this.#refuse(support.reason);
    this.#prefer("device");
    try {
      const model = await this.#model();
      if (!model) return this.#refuse("model");
      if (await this.#kept(model)) this.#use();
      else await this.#offer(model);
    } catch (error) {
      this.#pause(error.code ?? "device", error.message);
    }
  }

  #toServer() {
    this.#device.stop();
    this.#set({ name: "off" });
    this.#prefer("server");
    this.#events.onBackend(this.#server, () => this.#connect(this.#server));
  }

  #use() {
    this.#set({ name: "loading" });
    this.#events.onBackend(this.#device, () => this.#start());
  }

  async #start() {
    try {
      const model = await this.#model();
      await this.#device.start(model, (status) => this.#set({ ...status, name: status.state }));
      await this.#connect(this.#device);
      this.#set({ name: "ready", bytes: (await this.#kept(model))?.size_bytes });
    } catch (error) {
      if (this.#state.name !== "offer") this.#set({ name: "off" });
      throw error;
    }
  }

  async #offer(model) {
    this.#pause("absent", "");
    this.#set({ name: "loading" }); // the server may have to make it first
    this.#set({ name: "offer", bytes: await sizeOf(model) });
  }

  async #cancel() {
    this.#device.stop();
    await this.#offer(await this.#model());
  }

  async #remove() {
    const model = await this.#model();
    await this.#device.remove(model);
    this.#device.stop();
    await this.#offer(model);
  }

  /** Says why not; who is on the server stays there. */
  #refuse(reason) {
    this.#set({ name: "refused", reason });
    if (this.#preferences.place === "device") this.#pause("device", reasonOf(reason, this.#words));
    else this.#prefer("server");
  }

  #pause(code, message) {
    const nobody = { suggest: () => Promise.reject(new BackendError(code, message)) };
    this.#events.onBackend(nobody, nobody.suggest);
  }

  async #connect(backend) {
    this.#models = await backend.models();
    const chosen = this.#models.find(({ id }) => id === this.#preferences.model);
    if (!chosen) this.#preferences.model = null;
    this.#draw();
    this.#events.onModel(chosen ?? this.#models[0] ?? null);
  }

  /** The model to run here: the chosen one if it can, else the first that can. */
  async #model() {
    const models = await this.#device.models();
    const chosen = models.find(({ id }) => id === this.#preferences.model);
    return (chosen ?? models[0])?.id ?? null;
  }

  async #kept(model) {
    const kept = await this.#device.stored();
    return kept.find((entry) => entry.model === model && entry.complete !== false);
  }

  #chose(id) {
    this.#preferences.model = id;
    this.#events.onChange("model");
    if (this.#preferences.place === "device") void this.choose("device");
    else this.#events.onModel(this.#models.find((model) => model.id === id));
  }

  #prefer(place) {
    for (const radio of this.#radios) radio.checked = radio.value === place;
    if (this.#preferences.place === place) return;
    this.#preferences.place = place;
    this.#events.onChange("place");
  }

  #set(state) {
    this.#state = state;
    this.#draw();
  }

  #draw() {
    const note = drawDevice(this.#element, this.#state, this.#words);
    for (const radio of this.#radios) radio.checked = radio.value === this.#preferences.place;
    const select = this.#one("#model");
    select.replaceChildren(...this.#models.map(({ id }) => new Option(id, id)));
    if (this.#preferences.model) select.value = this.#preferences.model;
    this.#one("#models").hidden = this.#models.length === 0;
    this.#events.onState(note);
  }

  get #radios() {
    return this.#element.querySelectorAll('[name="place"]');
  }

  #one(selector) {
    return this.#element.querySelector(selector);
  }
}

/** How many bytes a model's files for the browser have; null where nobody can say. */
async function sizeOf(model) {
  try {
    const response = await fetch(`/device/${encodeURIComponent(model)}/device.json`);
    const { files } = await response.json();
    return files.reduce((sum, file) => sum + file.size_bytes, 0);
  } catch {
    return null;
  }
}
