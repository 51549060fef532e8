// "CSV": what one sees as a file for a spreadsheet.
import { DownloadOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { useText } from '../i18n';
import { csvOf, saveCsv, type Cell } from './csv';

interface Props {
  name: string; // of the file
  head: string[]; // as the API names them: scripts read them
  rows: () => Cell[][];
  small?: boolean;
}

export function SaveCsv({ name, head, rows, small = false }: Props) {
  const t = useText();
  return (
    <Button size={small ? 'small' : 'middle'} type={small ? 'text' : 'default'} icon={<DownloadOutlined />} title={t('action.csv_hint')} onClick={() => saveCsv(name, csvOf(head, rows()))}>
      CSV
    </Button>
  );
}
