// From what was dropped or chosen to the queue of uploads: asks once about files that are there already.
import { App } from 'antd';
import { encodeName, joinRaw, rawPath, shown, type Place } from '../../api/files';
import { makeFolder, refreshFolder } from '../../api/volumes';
import { useText } from '../../i18n';
import type { Dropped } from '../../uploads/dropped';
import { existing } from '../../uploads/existing';
import { uploads, type ToUpload } from '../../uploads/queue';

const NAMED = 8;

export function useUpload(place: Place, raw: string) {
  const t = useText();
  const { modal, message } = App.useApp();

  /** Which of them to send, or null: none at all. */
  const ask = (files: ToUpload[], there: Set<string>) =>
    new Promise<ToUpload[] | null>((done) => {
      const names = [...there].sort();
      const dialog = modal.confirm({
        title: t('upload.exist_title'),
        content: (
          <>
            <p>{t('upload.exist_what', { n: there.size, all: files.length })}</p>
            <ul className="plain name-list">
              {names.slice(0, NAMED).map((n) => (
                <li key={n} className="ellipsis">
                  <bdi>{shown(n)}</bdi>
                </li>
              ))}
              {names.length > NAMED && <li className="secondary">{t('upload.and_more', { n: names.length - NAMED })}</li>}
            </ul>
          </>
        ),
        okText: t('upload.overwrite'),
        cancelText: t('action.cancel'),
        onOk: () => done(files),
        onCancel: () => done(null),
        footer: (_, { OkBtn, CancelBtn }) => (
          <>
            <CancelBtn />
            <button
              type="button"
              className="ant-btn ant-btn-default ant-btn-color-default ant-btn-variant-outlined"
              onClick={() => {
                dialog.destroy();
                done(files.filter((f) => !there.has(f.raw)));
              }}
            >
              {t('upload.skip')}
            </button>
            <OkBtn />
          </>
        ),
      });
    });

  return async (reading: Promise<Dropped> | Dropped) => {
    const hide = message.loading({ content: t('upload.reading'), duration: 0 });
    try {
      const { files, emptyFolders } = await reading;
      const wanted = files.map<ToUpload>(({ path, file }) => ({ place, raw: joinRaw(raw, path.split('/').map(encodeName).join('/')), file }));
      const there = await existing(place, wanted.map((f) => f.raw));
      hide();
      const chosen = there.size > 0 ? await ask(wanted, there) : wanted;
      if (!chosen) {
        return;
      }
      for (const folder of emptyFolders) {
        await makeFolder(place, joinRaw(raw, rawPath(folder)));
      }
      if (chosen.length > 0) {
        uploads.add(chosen);
      } else if (emptyFolders.length > 0) {
        refreshFolder(place, raw);
      } else {
        void message.info(t('upload.nothing'));
      }
    } catch (e) {
      void message.error((e as Error).message);
    } finally {
      hide();
    }
  };
}
