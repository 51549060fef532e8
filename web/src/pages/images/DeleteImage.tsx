// Deleting a tag or a repository; the question names what goes.
import { DeleteOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { queryClient } from '../../api/queries';
import { deleteRepository, deleteTag, tagsOf } from '../../api/registry';
import type { Repository, Tag } from '../../api/types';
import { useConfirm } from '../../components/confirm';
import { bytes } from '../../components/format';
import { useText } from '../../i18n';

const refresh = (project: string) => queryClient.invalidateQueries({ queryKey: ['images', project] });

export function DeleteRepository({ project, repository, done, label }: { project: string; repository: Repository; done?: () => void; label?: boolean }) {
  const t = useText();
  const confirm = useConfirm();
  const ask = () =>
    confirm({
      title: t('images.delete_repository', { name: `${project}/${repository.name}` }),
      consequence: t('images.delete_repository_hint', { tags: repository.tags, size: bytes(repository.size_bytes) }),
      ok: t('action.delete'),
      run: async () => {
        await deleteRepository(project, repository.name);
        done?.();
        await refresh(project);
      },
    });
  const name = t('images.delete_repository', { name: repository.name });
  return (
    <Button danger type={label ? 'default' : 'text'} icon={<DeleteOutlined />} aria-label={name} title={name} onClick={ask}>
      {label ? t('action.delete') : null}
    </Button>
  );
}

export function DeleteTag(props: { project: string; repository: string; tag: Tag; done?: () => void; label?: boolean }) {
  const { project, repository, tag, label } = props;
  const t = useText();
  const confirm = useConfirm();
  const ask = async () => {
    // Other names of the image may stand on pages that were not read.
    const named = await tagsOf(project, repository, tag.digest).catch(() => []);
    const others = named.filter((o) => o.tag !== tag.tag).map((o) => o.tag);
    confirm({
      title: t('images.delete_tag', { name: `${repository}:${tag.tag}` }),
      consequence: others.length
        ? t('images.delete_tag_keeps', { others: others.join(', ') })
        : t('images.delete_tag_all', { size: bytes(tag.size_bytes) }),
      ok: t('action.delete'),
      run: async () => {
        await deleteTag(project, repository, tag.tag);
        props.done?.();
        await refresh(project);
      },
    });
  };
  const name = t('images.delete_tag', { name: tag.tag });
  return (
    <Button danger type={label ? 'default' : 'text'} icon={<DeleteOutlined />} aria-label={name} title={name} onClick={() => void ask()}>
      {label ? t('action.delete') : null}
    </Button>
  );
}
