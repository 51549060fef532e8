// A run as it goes: read once, then what the server tells of its steps.
import { useEffect, useRef, useState } from 'react';
import { ApiError, get } from '../../../api/client';
import { isOver, runUrl, type Run, type RunNode } from '../../../api/studio';
import { queryClient } from '../../../api/queries';

const AGAIN_MS = 2000;

/** null: none, or not read yet. `turn`: when it changes the run is followed anew. */
export function useLiveRun(project: string, id: string | number | null, turn = 0, whenGone?: () => void): Run | null {
  const [run, setRun] = useState<Run | null>(null);
  const gone = useRef(whenGone);
  gone.current = whenGone;
  useEffect(() => {
    if (id === null || id === '') {
      setRun(null);
      return undefined;
    }
    let isGone = false;
    let source: EventSource | null = null;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const read = async () => {
      try {
        const now = await get<Run>(runUrl(project, id));
        if (!isGone) {
          setRun(now);
          if (!isOver(now)) {
            follow();
          }
        }
      } catch (e) {
        if (e instanceof ApiError && e.status === 404) {
          gone.current?.();
        } else {
          again();
        }
      }
    };
    const again = () => {
      clearTimeout(timer);
      timer = isGone ? undefined : setTimeout(() => void read(), AGAIN_MS);
    };
    const follow = () => {
      source?.close();
      source = new EventSource(`${runUrl(project, id)}/events`);
      source.addEventListener('node', (m) => {
        const { node, value } = JSON.parse((m as MessageEvent<string>).data) as { node: string; value: RunNode };
        setRun((r) => (r ? { ...r, nodes: { ...r.nodes, [node]: value } } : r));
      });
      source.addEventListener('run', (m) => {
        const told = JSON.parse((m as MessageEvent<string>).data) as Partial<Run>;
        setRun((r) => (r ? { ...r, ...told, nodes: told.nodes ?? r.nodes } : r));
        if (told.state && isOver({ state: told.state })) {
          source?.close();
          void queryClient.invalidateQueries({ queryKey: ['runs', project] });
          void queryClient.invalidateQueries({ queryKey: ['pipelines', project] });
          void read(); // all of it, as it stays
        }
      });
      source.onerror = () => {
        source?.close(); // it ended, or was cut: what it is now says the run itself
        again();
      };
    };
    void read();
    return () => {
      isGone = true;
      source?.close();
      clearTimeout(timer);
    };
  }, [project, id, turn]);
  return run;
}
