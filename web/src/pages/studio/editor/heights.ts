// How high steps are drawn: by the ports of their module.
import type { DocNode } from '../../../api/studio';
import type { Modules } from '../graph/document';
import { nodeHeight } from '../graph/layout';

export const heightIn = (modules: Modules) => (node: DocNode) => {
  const module = modules.get(node.module);
  return nodeHeight(module ? Math.max(module.inputs.length, module.outputs.length) : Object.keys(node.inputs ?? {}).length) + 28;
};
