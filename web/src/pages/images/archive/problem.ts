// What is wrong with an archive; the page says it in the user's language.
export type ProblemKind = 'no_tar' | 'no_image' | 'lacks' | 'broken';

export class Problem extends Error {
  constructor(
    readonly kind: ProblemKind,
    readonly detail = '',
  ) {
    super(`${kind}: ${detail}`);
  }
}
