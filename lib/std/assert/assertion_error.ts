/** What a failed assertion throws. */
export class AssertionError extends Error {
  /**
   * Makes one.
   *
   * @param message What was expected, and what was there.
   * @param options A cause, if there is one.
   */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "AssertionError";
  }
}
