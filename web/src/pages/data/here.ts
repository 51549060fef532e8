// Which folder and which file the address names.
import { useLocation, useNavigate } from 'react-router-dom';
import { encodeName, pageOf, type Place } from '../../api/files';

export interface Here {
  place: Place;
  raw: string; // the folder, percent-encoded
}

/** From the address itself: the router decodes what it hands out, and "%FF" and "%25FF" would be the same. */
export function hereOf(pathname: string): Here {
  const parts = pathname.split('/');
  return {
    place: { project: decodeURIComponent(parts[2] ?? ''), volume: decodeURIComponent(parts[4] ?? '') },
    raw: parts
      .slice(5)
      .filter(Boolean)
      .map((p) => p.replace(/'/g, '%27'))
      .join('/'),
  };
}

export const useHere = () => hereOf(useLocation().pathname);

/** ?preview=NAME, or ?preview_raw=%FF for names that are no text. */
export function previewQuery(raw: string): string {
  try {
    return `?preview=${encodeName(decodeURIComponent(raw))}`;
  } catch {
    return `?preview_raw=${encodeURIComponent(raw)}`;
  }
}

export function previewed(query: URLSearchParams): string | null {
  const name = query.get('preview');
  return name ? encodeName(name) : query.get('preview_raw')?.replace(/\//g, '%2F') || null;
}

/** Replaces parts of the query; null removes one. */
export function useQuery(): [URLSearchParams, (changes: Record<string, string | null>, replace?: boolean) => void] {
  const { search, pathname } = useLocation();
  const navigate = useNavigate();
  const query = new URLSearchParams(search);
  return [
    query,
    (changes, replace = false) => {
      const next = new URLSearchParams(search);
      for (const [key, value] of Object.entries(changes)) {
        if (value === null) {
          next.delete(key);
        } else {
          next.set(key, value);
        }
      }
      navigate(pathname + (next.size ? `?${next}` : ''), { replace });
    },
  ];
}

export const folderPage = (place: Place, raw: string) => pageOf(place, raw);
