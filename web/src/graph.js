/**
 * The only file that touches LiteRT.js: a compiled token model and its caches. The contract of
 * the graph (inputs, outputs, masks) is in docs/architecture.md.
 */

import { getGlobalLiteRt, loadLiteRt, supportsFeature, Tensor } from "@litertjs/core";

const HIDDEN = -1e4; // the mask's value for a slot that may not be attended
const USEFUL_THREADS = 4; // decoding waits for memory: more threads than this only contend

/** The threads that the model may use: one, unless the page is isolated from other origins. */
export async function usableThreads() {
  if (!self.crossOriginIsolated || !(await supportsFeature("relaxedSimd"))) return 1;
  return Math.max(1, Math.min(navigator.hardwareConcurrency ?? 1, USEFUL_THREADS));
}

/**
 * Loads the wasm build that suits this browser, once a worker.
 * @param {string} directory its URL, ending in a slash
 * @param {number} threads
 */
export async function loadRuntime(directory, threads) {
  self.Module = {
    locateFile: (name) => directory + name,
    // Threads start from this script, not from the worker's own.
    mainScriptUrlOrBlob: `${directory}litert_wasm_threaded_internal.js`,
    print: console.debug,
    printErr: console.debug,
  };
  // The processor computes: LiteRT.js would take a graphics device all the same.
  Object.defineProperty(navigator, "gpu", { value: undefined, configurable: true });
  await loadLiteRt(directory, { threads: threads > 1 });
}

/** A bundle's model compiled for the CPU. */
export class Graph {
  #caches;
  #calls;
  #model;
  #sizes;
  #wasm;

  /**
   * @param {Uint8Array} model which is emptied: LiteRT.js has a copy
   * @param {{context: number, shape: object, signatures: string[]}} description
   * @param {number} threads
   */
  static async load(model, description, threads) {
    const options = { accelerator: "wasm", cpuOptions: { numThreads: threads } };
    const compiled = await getGlobalLiteRt().loadAndCompile(model, options);
    model.buffer.transfer?.(0); // gives its memory back now, not some time
    return new Graph(compiled, description);
  }

  /**
   * @param {import("@litertjs/core").CompiledModel} model
   * @param {{context: number, shape: object, signatures: string[]}} description
   */
  constructor(model, description) {
    const { layers, kv_heads: heads, head_dim: size, vocabulary } = description.shape;
    this.context = description.context;
    this.#wasm = getGlobalLiteRt().liteRtWasm;
    this.#model = model;
    this.#sizes = { layers, heads, size, vocabulary };
    /** @type {Record<string, Tensor>} */
    this.#caches = { mask: zeros([1, 1, 1, this.context]) };
    for (let i = 0; i < layers; i += 1) {
      this.#caches[`kv_cache_k_${i}`] = zeros([1, heads, this.context, size]);
      this.#caches[`kv_cache_v_${i}`] = zeros([1, heads, size, this.context]);
    }
    const widths = Object.keys(model.signatures).map((name) => /^prefill_(\d+)$/.exec(name)?.[1]);
    const chunks = widths.filter(Boolean).map(Number);
    /** @type {number | null} */
    this.width = chunks.length > 0 ? Math.max(...chunks) : null;
    this.#calls = { decode: this.#bind("decode", 1) };
    if (this.width !== null) {
      const name = `prefill_${this.width}`;
      this.#calls[name] = this.#bind(name, this.width);
    }
  }

  /**
   * Runs tokens at slots `position…`, keeps their keys and values in the cache, and returns a
   * copy of the logits, null for a prefill signature.
   * @param {string} signature
   * @param {number[]} ids
   * @param {number} position
   * @returns {Promise<Float32Array | null>}
   */
  async run(signature, ids, position) {
    const call = this.#calls[signature];
    this.#write(call.tokens, Int32Array, (tokens) => tokens.fill(0).set(ids));
    this.#write(call.positions, Int32Array, (positions) => {
      // Padding stands at the last real position; what it gives is ignored.
      for (let t = 0; t < call.width; t += 1) {
        positions[t] = position + Math.min(t, ids.length - 1);
      }
    });
    this.#write(this.#caches.mask, Float32Array, (mask) => {
      mask.fill(0, 0, position).fill(HIDDEN, position);
    });
    const outputs = await call.runner.run(call.inputs);
    try {
      let logits = null;
      outputs.forEach((output, index) => {
        const name = call.outputs[index];
        const values = this.#view(output, Float32Array);
        if (name === "logits") logits = values.slice(-this.#sizes.vocabulary);
        else this.#keep(name, values, call.width, ids.length, position);
        output.liteRtTensorBuffer.unlock();
      });
      return logits;
    } finally {
      for (const output of outputs) output.delete();
    }
  }

  /** Zeroes the caches: a NaN in a hidden slot would spread, a stale number does not. */
  clear() {
    for (const cache of Object.values(this.#caches)) {
      this.#write(cache, Float32Array, (values) => values.fill(0));
    }
  }

  /** Makes a signature's own inputs, and checks the others' shapes: nobody does later. */
  #bind(name, width) {
    const runner = this.#model.signatures[name];
    if (!runner) throw new Error(`the model has no signature ${name}`);
    const tokens = integers([1, width]);
    const positions = integers([width]);
    const given = { ...this.#caches, tokens, input_pos: positions };
    const inputs = runner.getInputDetails().map((wanted) => {
      const tensor = given[wanted.name];
      const shape = tensor?.type.layout.dimensions.join() ?? "none";
      if (shape !== [...wanted.shape].join()) {
        throw new Error(`${wanted.name} of ${name} has shape ${[...wanted.shape]}, not ${shape}`);
      }
      return tensor;
    });
    const outputs = runner.getOutputDetails().map((output) => output.name);
    return { runner, width, tokens, positions, inputs, outputs };
  }

  /** Writes the slices [1, K, T, H] of the first `count` tokens into their cache. */
  #keep(name, slices, width, count, position) {
    const { heads, size } = this.#sizes;
    const slots = this.context;
    this.#write(this.#caches[name.replace("slice", "cache")], Float32Array, (cache) => {
      for (let head = 0; head < heads; head += 1) {
        const from = head * width * size;
        if (name.startsWith("kv_slice_k")) {
          const place = (head * slots + position) * size;
          cache.set(slices.subarray(from, from + count * size), place);
          continue;
        }
        // Values are stored transposed, [1, K, H, S].
        for (let i = 0; i < size; i += 1) {
          const place = (head * size + i) * slots + position;
          for (let t = 0; t < count; t += 1) cache[place + t] = slices[from + t * size + i];
        }
      }
    });
  }

  /** Lets `change` write to a tensor's own memory. */
  #write(tensor, type, change) {
    change(this.#view(tensor, type, "READ_WRITE"));
    tensor.liteRtTensorBuffer.unlock();
  }

  /** Locks a tensor and returns its memory, which is good until anything allocates. */
  #view(tensor, type, mode = "READ") {
    const buffer = tensor.liteRtTensorBuffer;
    const start = buffer.lock(this.#wasm.LiteRtTensorBufferLockMode[mode]);
    return new type(this.#wasm.HEAPU8.buffer, start, buffer.packedSize() / 4);
  }
}

function zeros(shape) {
  return new Tensor(new Float32Array(shape.reduce((a, b) => a * b)), shape);
}

function integers(shape) {
  return new Tensor(new Int32Array(shape.reduce((a, b) => a * b)), shape);
}
