/** What goes wrong on the device, with a code that the page can tell apart. */
export class DeviceError extends Error {
  /** @param {string} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}
