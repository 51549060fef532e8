// What of somebody's work stays in this browser: drafts of this tab, steps that were copied. It ends when he signs out, so that
// the next one who signs in here does not find it. A session that merely ends keeps it: he comes back to what he was doing.

/** Names of what belongs to whoever is signed in begin so; what does not (language, appearance, a terminal's ways) begins otherwise. */
export const OWN = 'strata.work.';

export function forgetWork() {
  for (const store of [localStorage, sessionStorage]) {
    Object.keys(store)
      .filter((key) => key.startsWith(OWN))
      .forEach((key) => store.removeItem(key));
  }
}
