// Deleting files and folders: asks with what it means, shows how far it is, and names what could not be deleted.
import { App, Progress } from 'antd';
import { rawOf, type Place } from '../../api/files';
import type { Entry } from '../../api/types';
import { deleteEntry, refreshFolder } from '../../api/volumes';
import { useText } from '../../i18n';
import { shownName } from './EntryName';

const AT_ONCE = 4;
const NAMED = 10; // failures told one by one

export function useDeleteEntries(place: Place, raw: string) {
  const t = useText();
  const { modal, message } = App.useApp();

  const run = async (entries: Entry[], onStep: (done: number) => void) => {
    const failed: { entry: Entry; why: string }[] = [];
    const todo = [...entries];
    let done = 0;
    const work = async () => {
      for (let entry = todo.shift(); entry; entry = todo.shift()) {
        try {
          await deleteEntry(place, raw, rawOf(entry), entry.type === 'dir');
        } catch (e) {
          failed.push({ entry, why: (e as Error).message });
        }
        onStep(++done);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return failed;
  };

  const report = (failed: { entry: Entry; why: string }[]) =>
    modal.error({
      title: t('data.delete_failed', { n: failed.length }),
      okText: t('action.close'),
      content: (
        <ul className="plain">
          {failed.slice(0, NAMED).map(({ entry, why }) => (
            <li key={rawOf(entry)}>
              <b>{shownName(entry)}</b>: {why}
            </li>
          ))}
          {failed.length > NAMED && <li>{t('upload.and_more', { n: failed.length - NAMED })}</li>}
        </ul>
      ),
    });

  return (entries: Entry[], then: () => void) => {
    const first = entries[0];
    if (!first) {
      return;
    }
    const isOne = entries.length === 1;
    const dirs = entries.filter((e) => e.type === 'dir').length;
    const what = isOne
      ? t(dirs ? 'data.delete_dir_what' : 'data.delete_file_what')
      : t('data.delete_many_what', { files: entries.length - dirs, dirs });
    const dialog = modal.confirm({
      title: isOne ? t('data.delete_one', { name: shownName(first) }) : t('data.delete_many', { n: entries.length }),
      content: what,
      okText: t('action.delete'),
      cancelText: t('action.cancel'),
      okButtonProps: { danger: true },
      autoFocusButton: 'cancel',
      onOk: async () => {
        const failed = await run(entries, (done) => {
          if (!isOne) {
            dialog.update({
              content: (
                <>
                  {t('data.delete_progress', { done, all: entries.length })}
                  <Progress percent={Math.round((100 * done) / entries.length)} aria-label={what} />
                </>
              ),
            });
          }
        });
        then();
        refreshFolder(place, raw);
        if (failed.length > 0) {
          report(failed);
        } else {
          void message.success(t('data.deleted', { name: isOne ? shownName(first) : entries.length }));
        }
      },
    });
  };
}
