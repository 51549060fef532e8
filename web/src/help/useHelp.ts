// The help beside the page, as part of its address: ?help=here follows where one is, ?help=jobs.the-log stays there.
import { useMatches, useSearchParams } from 'react-router-dom';
import { useParam } from '../components/useParam';
import { topicFor, type Topic } from './topic';

export const HERE = 'here';

/** What is open ('': nothing), how to open something else, and the topic of the page one is on. */
export function useHelp(): { topic: string; open: (topic: string) => void; here: string } {
  const [asked, open] = useParam('help');
  const [query] = useSearchParams();
  const topics = useMatches().map((m) => (m.handle as { help?: Topic } | undefined)?.help);
  const here = topicFor(topics.filter(Boolean).at(-1), query);
  return { topic: asked === HERE ? here : asked, open, here };
}
