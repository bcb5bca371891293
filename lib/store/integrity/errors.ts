/** What says that a log isn't whole: told, never papered over with an empty one (threats.md L5). */

/** The log, or what belongs to it, is damaged or isn't a log; nothing was changed. Its message says what to do. */
export class LogDamaged extends Error {
  /** The class, as it is shown. */
  override name = "LogDamaged";

  /**
   * Makes the error.
   *
   * @param path The log's file.
   * @param what What is wrong with it.
   */
  constructor(path: string, what: string) {
    super(
      `Cannot open the log "${path}": ${what}. It was left as it is; restore a backup into an empty folder, or give another --data`,
    );
  }
}
