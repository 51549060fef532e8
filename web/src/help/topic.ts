// Which section of the manual tells about a page: part of its route, so that no page is forgotten (pages.test.ts).

/** "jobs.the-log": a page of docs/manual and the anchor of a heading in its English text; "jobs": from its beginning.
 *  Where a page has faces, a parameter of its address chooses: its value, else '*' (some other value), else '' (none). */
export type Topic = string | { by: string; of: Record<string, string> };

export const helpOn = (help: Topic) => ({ help });

export function topicFor(topic: Topic | undefined, query: URLSearchParams): string {
  if (topic === undefined || typeof topic === 'string') {
    return topic ?? 'README';
  }
  const value = query.get(topic.by) ?? '';
  return topic.of[value] ?? (value && topic.of['*']) ?? topic.of[''] ?? 'README';
}
