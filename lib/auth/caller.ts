/** The client of one request. */

/** Where a request comes from. */
export interface Caller {
  /**
   * Its address. With `--trust-proxy` the one that the proxy saw, or `unknown`; a loopback address is followed
   * by `by proxy` then, so that it gets no rights or exemptions of this machine's own programs.
   */
  readonly address: string;
  /** Whether it came by TLS, as the proxy says. */
  readonly secure: boolean;
}
