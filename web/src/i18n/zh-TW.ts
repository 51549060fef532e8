import { admin } from './zh-TW/admin';
import { data } from './zh-TW/data';
import type { Messages } from './en';
import { frame } from './zh-TW/frame';
import { images } from './zh-TW/images';
import { jobs } from './zh-TW/jobs';
import { measures } from './zh-TW/measures';
import { metrics } from './zh-TW/metrics';
import { people } from './zh-TW/people';
import { replication } from './zh-TW/replication';
import { trust } from './zh-TW/trust';
import { rules } from './zh-TW/rules';
import { studio } from './zh-TW/studio';

export const zhTW: Messages = { ...frame, ...jobs, ...data, ...images, ...admin, ...people, ...replication, ...trust, ...rules, ...metrics, ...measures, ...studio };
