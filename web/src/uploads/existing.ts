// Which files are there already, so that one is asked once before anything is replaced.
import { ApiError, get, request, type Page } from '../api/client';
import { fileUrl, lastOf, parentOf, rawOf, treeUrl, type Place } from '../api/files';
import type { Entry } from '../api/types';

const FEW = 12; // so many are asked for one by one; for more, the folder is read
const AT_ONCE = 4;

const isMissing = (e: unknown) => e instanceof ApiError && (e.status === 404 || e.status === 409);

async function isThere(place: Place, raw: string): Promise<boolean> {
  try {
    await request('HEAD', fileUrl(place, raw));
    return true;
  } catch (e) {
    if (isMissing(e)) {
      return false;
    }
    throw e;
  }
}

async function inFolder(place: Place, dir: string, names: Set<string>): Promise<string[]> {
  const found: string[] = [];
  let after: string | null = '';
  while (after !== null) {
    try {
      const page: Page<Entry> = await get(`${treeUrl(place, dir)}?limit=1000${after && `&after=${encodeURIComponent(after)}`}`);
      found.push(...page.items.filter((e) => e.type !== 'dir' && names.has(rawOf(e))).map(rawOf));
      after = page.next;
    } catch (e) {
      if (isMissing(e)) {
        return [];
      }
      throw e;
    }
  }
  return found;
}

/** Those of the raw paths that are there. */
export async function existing(place: Place, raws: string[]): Promise<Set<string>> {
  const folders = new Map<string, string[]>();
  for (const raw of raws) {
    const dir = parentOf(raw);
    const names = folders.get(dir) ?? [];
    names.push(lastOf(raw));
    folders.set(dir, names);
  }
  const found = new Set<string>();
  const todo = [...folders];
  const work = async () => {
    for (let next = todo.pop(); next; next = todo.pop()) {
      const [dir, names] = next;
      const path = (name: string) => (dir ? `${dir}/${name}` : name);
      if (names.length > FEW) {
        (await inFolder(place, dir, new Set(names))).forEach((n) => found.add(path(n)));
        continue;
      }
      for (const name of names) {
        if (await isThere(place, path(name))) {
          found.add(path(name));
        }
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return found;
}
