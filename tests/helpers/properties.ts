/** fast-check with the seed of the suite. It prints the seed and the path of a property that fails. */
import fc from "fast-check";
import { SEED } from "./random.ts";

fc.configureGlobal({ seed: SEED });

export { fc };
