// Pipelines to start from. Their files are named for the reader to put his own in place.
import type { Doc } from '../../api/studio';

export interface Sample {
  key: 'classify' | 'explore';
  doc: Doc;
}

export const SAMPLES: Sample[] = [
  {
    key: 'classify',
    doc: {
      pipeline: 1,
      params: [{ name: 'seed', type: 'int', default: 7 }],
      nodes: {
        read: { module: 'read_csv', at: [0, 60] },
        split: { module: 'split', at: [240, 60], params: { fraction: 0.8, seed: '${seed}' }, inputs: { table: 'read.table' } },
        learn: { module: 'logistic_regression', at: [480, 0], inputs: { train: 'split.train' } },
        predict: { module: 'predict', at: [720, 60], inputs: { model: 'learn.model', table: 'split.test' } },
        judge: { module: 'evaluate_multiclass', at: [960, 60], inputs: { table: 'predict.table' } },
      },
    },
  },
  { key: 'explore', doc: { pipeline: 1, nodes: { read: { module: 'read_csv', at: [0, 0] } } } },
];
