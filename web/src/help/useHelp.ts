// The help beside the page, as part of its address: ?help=here follows where one is, ?help=jobs.the-log stays there.
import { useLocation, useMatches, useNavigate } from 'react-router-dom';
import { topicFor, type Topic } from './topic';

export const HERE = 'here';

interface Help {
  topic: string; // what is open; '': nothing
  to: (topic: string) => string; // the address of this page with that topic beside it
  open: (topic: string) => void;
}

export function useHelp(): Help {
  const { pathname, search } = useLocation();
  const navigate = useNavigate();
  const topics = useMatches().map((m) => (m.handle as { help?: Topic } | undefined)?.help);
  const query = new URLSearchParams(search);
  const asked = query.get('help') ?? '';
  const to = (topic: string) => {
    const next = new URLSearchParams(search);
    if (topic) {
      next.set('help', topic);
    } else {
      next.delete('help');
    }
    return pathname + (next.size ? `?${next}` : '');
  };
  return {
    topic: asked === HERE ? topicFor(topics.filter(Boolean).at(-1), query) : asked,
    to,
    open: (topic) => navigate(to(topic), { replace: true }),
  };
}
