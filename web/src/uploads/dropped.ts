// Files and folders that were dropped or chosen, as a flat list with their paths.
export interface Found {
  /** Path below where they go, as the names are: "photos/cat.png". */
  path: string;
  file: File;
}

export interface Dropped {
  files: Found[];
  emptyFolders: string[];
}

/** Of <input type=file>, with webkitdirectory or without. */
export function fromInput(list: FileList): Dropped {
  return { files: [...list].map((file) => ({ path: file.webkitRelativePath || file.name, file })), emptyFolders: [] };
}

/** The list of a drop is only there until its handler returns: this takes what it needs at once. */
export function fromDrop(transfer: DataTransfer): Promise<Dropped> {
  const items = [...transfer.items].filter((i) => i.kind === 'file');
  const entries = items.map((i) => i.webkitGetAsEntry());
  const plain = items.map((i, n) => (entries[n] ? null : i.getAsFile()));
  return walk(entries.filter((e) => e !== null), plain.filter((f) => f !== null));
}

async function walk(entries: FileSystemEntry[], plain: File[]): Promise<Dropped> {
  const found: Dropped = { files: plain.map((file) => ({ path: file.name, file })), emptyFolders: [] };
  const todo = entries.map((entry) => ({ entry, path: entry.name }));
  for (let next = todo.pop(); next; next = todo.pop()) {
    const { entry, path } = next;
    if (entry.isFile) {
      found.files.push({ path, file: await fileOf(entry as FileSystemFileEntry) });
      continue;
    }
    const children = await childrenOf(entry as FileSystemDirectoryEntry);
    if (children.length === 0) {
      found.emptyFolders.push(path);
    }
    todo.push(...children.map((c) => ({ entry: c, path: `${path}/${c.name}` })));
  }
  found.files.sort((a, b) => (a.path < b.path ? -1 : 1));
  return found;
}

const fileOf = (entry: FileSystemFileEntry) => new Promise<File>((done, failed) => entry.file(done, failed));

/** readEntries answers a hundred or so at a time, and nothing at the end. */
async function childrenOf(entry: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = entry.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((done, failed) => reader.readEntries(done, failed));
    if (some.length === 0) {
      return all;
    }
    all.push(...some);
  }
}
