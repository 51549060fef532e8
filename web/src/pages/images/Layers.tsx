// The layers of an image as a picture: how large each is, where it lies in the whole, what made it.
import { Tag } from 'antd';
import type { Descriptor, ImageConfig } from '../../api/registry';
import { bytes, dateTime } from '../../components/format';
import { useLanguage } from '../../i18n';
import { Digest } from './Digest';
import { layerRows, type LayerRow } from './layers';

function Bar({ row, total }: { row: LayerRow; total: number }) {
  const share = (n: number) => `${total > 0 ? (100 * n) / total : 0}%`;
  return (
    <div className="layer-track" aria-hidden="true">
      <div className="layer-bar" style={{ marginInlineStart: `min(${share(row.before)}, 100% - 3px)`, width: share(row.layer?.size ?? 0) }} />
    </div>
  );
}

export function Layers({ layers, config }: { layers: Descriptor[]; config?: ImageConfig }) {
  const { language, t } = useLanguage();
  const total = layers.reduce((s, l) => s + l.size, 0);
  return (
    <ol className="layers">
      {layerRows(layers, config?.history).map((row, i) => (
        <li key={i} className={row.layer ? '' : 'layer-empty'}>
          <div className="layer-head">
            <span className="layer-size">{row.layer ? bytes(row.layer.size) : <Tag>{t('images.empty_layer')}</Tag>}</span>
            <code className="mono layer-command" title={row.created ? dateTime(row.created, language) : undefined}>
              {row.command || t('images.no_history')}
            </code>
            {row.layer && <Digest digest={row.layer.digest} />}
          </div>
          {row.layer && <Bar row={row} total={total} />}
        </li>
      ))}
    </ol>
  );
}
