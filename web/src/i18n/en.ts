// English: the list of all texts, by area. Other languages have the same keys; the compiler refuses one that lacks any.
import { admin } from './en/admin';
import { data } from './en/data';
import { frame } from './en/frame';
import { images } from './en/images';
import { jobs } from './en/jobs';
import { measures } from './en/measures';
import { metrics } from './en/metrics';
import { people } from './en/people';
import { replication } from './en/replication';
import { trust } from './en/trust';
import { rules } from './en/rules';
import { studio } from './en/studio';

export const en = { ...frame, ...jobs, ...data, ...images, ...admin, ...people, ...replication, ...trust, ...rules, ...metrics, ...measures, ...studio } as const;

export type Key = keyof typeof en;
export type Messages = Record<Key, string>;
