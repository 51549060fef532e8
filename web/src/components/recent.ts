// The pages of this tab that one saw last, for the search. Kept with the tab, forgotten with the session.

export interface Seen {
  name: string;
  to: string;
}

const STORED = 'strata.recent';
const KEPT = 8;

export function recent(): Seen[] {
  try {
    const kept: unknown = JSON.parse(sessionStorage.getItem(STORED) ?? '[]');
    return Array.isArray(kept) ? (kept as Seen[]) : [];
  } catch {
    return [];
  }
}

export function remember(title: string, to: string) {
  const project = /^\/p\/([^/]+)/.exec(to)?.[1];
  const seen = { name: project ? `${title} · ${decodeURIComponent(project)}` : title, to };
  const all = [seen, ...recent().filter((s) => s.to !== to)].slice(0, KEPT);
  sessionStorage.setItem(STORED, JSON.stringify(all));
}

export const forget = () => sessionStorage.removeItem(STORED);
