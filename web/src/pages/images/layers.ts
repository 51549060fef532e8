// Which command made which layer: history has an entry for each step, and some steps change no files.
import type { Descriptor, ImageConfig } from '../../api/registry';

export interface LayerRow {
  command: string;
  created: string | null;
  layer: Descriptor | null; // null: only the configuration changed
  before: number; // bytes of the layers below
}

/** "/bin/sh -c #(nop)  CMD [..]" -> "CMD [..]", "/bin/sh -c make" -> "RUN make": as it stood in the Dockerfile. */
export function tidyCommand(text: string): string {
  const s = text.replace(/\s+# buildkit$/, '').trim();
  const nop = /^\/bin\/sh -c #\(nop\)\s*/.exec(s);
  if (nop) {
    return s.slice(nop[0].length);
  }
  const run = /^(?:RUN )?\/bin\/sh -c /.exec(s);
  return run ? `RUN ${s.slice(run[0].length).trim()}` : s;
}

export function layerRows(layers: Descriptor[], history: ImageConfig['history'] = []): LayerRow[] {
  const rows: LayerRow[] = [];
  const rest = [...layers];
  let before = 0;
  const add = (command: string, created: string | null, layer: Descriptor | null) => {
    rows.push({ command, created, layer, before });
    before += layer?.size ?? 0;
  };
  for (const h of history) {
    const layer = h.empty_layer ? null : (rest.shift() ?? null);
    add(tidyCommand(h.created_by ?? h.comment ?? ''), h.created ?? null, layer);
  }
  rest.forEach((layer) => add('', null, layer)); // a history that is shorter than the image, or none
  return rows;
}
