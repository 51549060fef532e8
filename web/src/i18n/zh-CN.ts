import { admin } from './zh-CN/admin';
import { data } from './zh-CN/data';
import type { Messages } from './en';
import { frame } from './zh-CN/frame';
import { images } from './zh-CN/images';
import { jobs } from './zh-CN/jobs';
import { measures } from './zh-CN/measures';
import { metrics } from './zh-CN/metrics';
import { people } from './zh-CN/people';
import { replication } from './zh-CN/replication';
import { trust } from './zh-CN/trust';
import { rules } from './zh-CN/rules';
import { studio } from './zh-CN/studio';

export const zhCN: Messages = { ...frame, ...jobs, ...data, ...images, ...admin, ...people, ...replication, ...trust, ...rules, ...metrics, ...measures, ...studio };
