// An image, from a blob: address with a type that its bytes decided: it can be nothing but an image.
import { useQuery } from '@tanstack/react-query';
import { Alert, Skeleton } from 'antd';
import { useEffect, useState } from 'react';
import { readBytes, type Bytes } from '../../../api/bytes';
import { lastOf, shown, type Place } from '../../../api/files';
import { ErrorView } from '../../../components/ErrorView';
import { bytes as size } from '../../../components/format';
import { useText } from '../../../i18n';
import { imageType } from './sniff';

const LARGEST = 32 * 1024 * 1024;

export function ImageView({ place, raw, first }: { place: Place; raw: string; first: Bytes }) {
  const t = useText();
  const isTooBig = first.total > LARGEST;
  const rest = useQuery({
    queryKey: ['preview', place.project, place.volume, raw, 'all'],
    queryFn: ({ signal }) => readBytes(place, raw, LARGEST, signal),
    enabled: first.isCut && !isTooBig,
    gcTime: 0,
  });
  const data = first.isCut ? rest.data : first;
  const [url, setUrl] = useState<string | null>(null);
  const [pixels, setPixels] = useState<{ width: number; height: number } | null>(null);
  const [isBad, setBad] = useState(false);
  useEffect(() => {
    if (!data) {
      return undefined;
    }
    const made = URL.createObjectURL(new Blob([data.bytes], { type: imageType(data.bytes) ?? 'application/octet-stream' }));
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [data]);
  if (isTooBig || isBad) {
    return <Alert type="warning" showIcon title={isBad ? t('preview.image_bad') : t('preview.image_big', { size: size(LARGEST) })} />;
  }
  if (rest.error) {
    return <ErrorView error={rest.error} retry={() => void rest.refetch()} />;
  }
  if (!url) {
    return <Skeleton active />;
  }
  return (
    <figure className="image-view">
      <img
        src={url}
        alt={shown(lastOf(raw))}
        onLoad={(e) => setPixels({ width: e.currentTarget.naturalWidth, height: e.currentTarget.naturalHeight })}
        onError={() => setBad(true)}
      />
      {pixels && <figcaption className="secondary">{t('preview.pixels', { ...pixels })}</figcaption>}
    </figure>
  );
}
