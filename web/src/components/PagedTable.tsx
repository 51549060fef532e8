// A list of any length as a table: pages are read as one scrolls, and when there are many rows only those in sight exist.
import { Button, Flex, Table, type TableProps } from 'antd';
import { useEffect, useRef, type UIEvent } from 'react';
import type { usePages } from '../api/queries';
import { useText } from '../i18n';

const MANY = 200; // rows that may all stand in the page
const HEIGHT = 640;
const NEAR = 1500; // pixels before the end where more is read

interface Props<T> extends Omit<TableProps<T>, 'dataSource' | 'loading' | 'pagination' | 'virtual' | 'scroll' | 'onScroll'> {
  pages: ReturnType<typeof usePages<T>>;
  minWidth?: number; // of the columns together, when there are many rows
}

export function PagedTable<T extends object>({ pages, minWidth = 320, ...table }: Props<T>) {
  const isLong = pages.items.length > MANY;
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = pages;
  const more = () => {
    if (hasNextPage && !isFetchingNextPage) {
      void fetchNextPage();
    }
  };
  const onScroll = (e: UIEvent) => {
    const el = e.currentTarget as HTMLElement;
    if (el.scrollHeight - el.scrollTop - el.clientHeight < NEAR) {
      more();
    }
  };
  return (
    <>
      <Table<T>
        size="middle"
        {...table}
        dataSource={pages.items}
        loading={{ spinning: pages.isPending || pages.isPlaceholderData, delay: 300 }}
        pagination={false}
        virtual={isLong}
        scroll={isLong ? { x: minWidth, y: HEIGHT } : undefined}
        onScroll={isLong ? onScroll : undefined}
      />
      {!pages.isPending && <Foot n={pages.items.length} hasMore={hasNextPage} isLoading={isFetchingNextPage} whenSeen={!isLong} more={more} />}
    </>
  );
}

interface FootProps {
  n: number;
  hasMore: boolean;
  isLoading: boolean;
  whenSeen: boolean; // below a long table it is always in sight, and the table's own scrolling counts
  more: () => void;
}

/** How much is there; more is read when this comes into sight, and by a button for those who do not scroll. */
function Foot({ n, hasMore, isLoading, whenSeen, more }: FootProps) {
  const t = useText();
  const box = useRef<HTMLDivElement>(null);
  const now = useRef(more);
  now.current = more;
  useEffect(() => {
    if (!box.current || !hasMore || !whenSeen) {
      return undefined;
    }
    const observer = new IntersectionObserver((entries) => entries.some((e) => e.isIntersecting) && now.current());
    observer.observe(box.current);
    return () => observer.disconnect();
  }, [hasMore, whenSeen, n]);
  return (
    <Flex ref={box} gap={12} align="center" className="secondary list-foot">
      <span role="status">{n > 20 || hasMore ? t(hasMore ? 'list.loaded_more' : 'list.loaded', { n: n.toLocaleString() }) : ''}</span>
      {hasMore && (
        <Button size="small" loading={isLoading} onClick={more}>
          {t('action.more')}
        </Button>
      )}
    </Flex>
  );
}
