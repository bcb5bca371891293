/** The numbers by which SQLite's header tells what a file is. */

/** SQLite's application_id of a log: "Fanf". */
export const APPLICATION = 0x46616e66;

/** That of a copy which no server has opened yet: "Fanb". Seqs after it were given out already, so it gets a new epoch. */
export const BACKUP = 0x46616e62;

/** The newest schema, SQLite's user_version. */
export const NEWEST_SCHEMA = 5;
