"""What people have on their walls: the queries of dashboards made for node_exporter, cAdvisor, dcgm-exporter and Kubernetes,
asked as Grafana asks, of this machine and of trees of machines that the tests do not run on.

The lists are ours: which figures a dashboard draws, and in which shape it asks for them. They stand for Node Exporter Full (1860),
the dashboard of dcgm-exporter (12239), those of cAdvisor (14282, 893, 193, 315) and kubernetes-mixin's of pods and namespaces."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import pytest
import requests

import exporter_trees as trees
from conftest import Strata, free_port, wait_for
from test_e20_metrics import API, ask
from test_e30_exporter import NET, NVML, Program, container_tree, exporter, paths

# --- Node Exporter Full: plain figures, figures per second, and what is put together ---

PLAIN = '''
memory: MemTotal_bytes MemFree_bytes MemAvailable_bytes Buffers_bytes Cached_bytes SwapTotal_bytes SwapFree_bytes SwapCached_bytes Slab_bytes
  SReclaimable_bytes SUnreclaim_bytes PageTables_bytes Inactive_bytes Active_bytes Inactive_file_bytes Inactive_anon_bytes Active_file_bytes
  Active_anon_bytes Committed_AS_bytes CommitLimit_bytes Writeback_bytes WritebackTmp_bytes Dirty_bytes Mapped_bytes Shmem_bytes
  ShmemHugePages_bytes ShmemPmdMapped_bytes VmallocChunk_bytes VmallocTotal_bytes VmallocUsed_bytes Bounce_bytes AnonHugePages_bytes
  AnonPages_bytes KernelStack_bytes Percpu_bytes HugePages_Free HugePages_Rsvd HugePages_Surp HugePages_Total Hugepagesize_bytes
  DirectMap1G_bytes DirectMap2M_bytes DirectMap4k_bytes Unevictable_bytes Mlocked_bytes NFS_Unstable_bytes HardwareCorrupted_bytes
timex: estimated_error_seconds offset_seconds maxerror_seconds loop_time_constant sync_status frequency_adjustment_ratio tick_seconds tai_offset_seconds
procs: blocked running
processes: state pids max_processes threads max_threads
cpu: scaling_frequency_hertz scaling_frequency_max_hertz scaling_frequency_min_hertz
entropy: available_bits
cooling_device: cur_state max_state
power_supply: online
disk: io_now
filefd: maximum allocated
nf_conntrack: entries entries_limit
arp: entries
network: mtu_bytes speed_bytes transmit_queue_length up carrier
sockstat: TCP_alloc TCP_inuse TCP_mem TCP_orphan TCP_tw UDPLITE_inuse UDP_inuse UDP_mem FRAG_inuse RAW_inuse TCP_mem_bytes UDP_mem_bytes FRAG_memory
  sockets_used
netstat: Tcp_CurrEstab Tcp_MaxConn
scrape: collector_duration_seconds collector_success
textfile: scrape_error
'''
SECONDLY = '''
vmstat: pgpgin pgpgout pswpin pswpout pgfault pgmajfault oom_kill
: forks_total context_switches_total intr_total interrupts_total
schedstat: running_seconds_total waiting_seconds_total timeslices_total
pressure: cpu_waiting_seconds_total memory_waiting_seconds_total memory_stalled_seconds_total io_waiting_seconds_total io_stalled_seconds_total
disk: reads_completed_total writes_completed_total read_bytes_total written_bytes_total io_time_seconds_total io_time_weighted_seconds_total
  reads_merged_total writes_merged_total discard_time_seconds_total discards_completed_total discards_merged_total
network: receive_bytes_total transmit_bytes_total receive_packets_total transmit_packets_total receive_errs_total transmit_errs_total
  receive_drop_total transmit_drop_total receive_compressed_total transmit_compressed_total receive_multicast_total receive_fifo_total
  transmit_fifo_total receive_frame_total transmit_carrier_total transmit_colls_total
softnet: processed_total dropped_total times_squeezed_total
netstat: IpExt_InOctets IpExt_OutOctets Ip_Forwarding Icmp_InMsgs Icmp_OutMsgs Icmp_InErrors Udp_InDatagrams Udp_OutDatagrams Udp_InErrors
  Udp_NoPorts UdpLite_InErrors Udp_RcvbufErrors Udp_SndbufErrors Tcp_InSegs Tcp_OutSegs TcpExt_ListenOverflows TcpExt_ListenDrops
  TcpExt_TCPSynRetrans Tcp_RetransSegs Tcp_InErrs Tcp_OutRsts TcpExt_TCPRcvQDrop TcpExt_TCPOFOQueue TcpExt_SyncookiesFailed
  TcpExt_SyncookiesRecv TcpExt_SyncookiesSent Tcp_ActiveOpens Tcp_PassiveOpens
'''


def named(text):
    """node_<group>_<name> of each line "group: name name"; what is indented goes on."""
    for line in text.strip().replace('\n  ', ' ').split('\n'):
        group, names = line.split(':')
        yield from ('_'.join(('node', *filter(None, (group, name)))) for name in names.split())


MODES = ('mode="system"', 'mode="user"', 'mode="iowait"', 'mode=~".*irq"', 'mode="idle"', 'mode="nice"', 'mode="steal"',
         "mode!='idle',mode!='user',mode!='system',mode!='iowait',mode!='irq',mode!='softirq'")
FS = "$S,device!~'rootfs'"
ROOT = '$S,mountpoint="/",fstype!="rootfs"'
NODE = [
    *(f'{name}{{$S}}' for name in named(PLAIN)),
    *(f'irate({name}{{$S}}[$R])' for name in named(SECONDLY)),
    # processors
    *(f'sum(irate(node_cpu_seconds_total{{$S,{mode}}}[$R])) / scalar(count(count(node_cpu_seconds_total{{$S}}) by (cpu)))' for mode in MODES),
    '100 * (1 - avg(rate(node_cpu_seconds_total{mode="idle",$S}[$R])))', 'count(count(node_cpu_seconds_total{$S}) by (cpu))',
    'scalar(node_load1{$S}) * 100 / count(count(node_cpu_seconds_total{$S}) by (cpu))', 'avg(node_load15{$S}) / count(count(node_cpu_seconds_total{$S}) by (cpu)) * 100',
    *(f'sum by(instance) (irate(node_cpu_guest_seconds_total{{$S,mode="{mode}"}}[$R])) / on(instance) group_left sum by (instance)((irate(node_cpu_seconds_total{{$S}}[$R])))'
      for mode in ('user', 'nice')),
    'avg(node_cpu_scaling_frequency_max_hertz{$S})', 'node_time_seconds{$S} - node_boot_time_seconds{$S}', *(f'node_load{n}{{$S}}' for n in (1, 5, 15)),
    # memory
    '((node_memory_MemTotal_bytes{$S} - node_memory_MemFree_bytes{$S}) / node_memory_MemTotal_bytes{$S}) * 100',
    '(1 - (node_memory_MemAvailable_bytes{$S} / node_memory_MemTotal_bytes{$S})) * 100',
    'clamp_min((1 - node_memory_MemAvailable_bytes{$S} / node_memory_MemTotal_bytes{$S}) * 100, 0)',
    '((node_memory_SwapTotal_bytes{$S} - node_memory_SwapFree_bytes{$S}) / (node_memory_SwapTotal_bytes{$S})) * 100',
    'node_memory_MemTotal_bytes{$S} - node_memory_MemFree_bytes{$S} - (node_memory_Cached_bytes{$S} + node_memory_Buffers_bytes{$S} + node_memory_SReclaimable_bytes{$S})',
    'irate(node_vmstat_pgfault{$S}[$R])  - irate(node_vmstat_pgmajfault{$S}[$R])',
    # disks and file systems
    *(f'irate(node_disk_{what}_total{{$S,device=~"$D"}}[$R])' for what in ('reads_completed', 'writes_completed', 'read_bytes', 'written_bytes', 'io_time_seconds')),
    *(f'irate(node_disk_{a}_time_seconds_total{{$S}}[$R]) / irate(node_disk_{b}_completed_total{{$S}}[$R])' for a, b in (('read', 'reads'), ('write', 'writes'))),
    *(f'node_filesystem_{what}{{{FS}}}' for what in ('avail_bytes', 'free_bytes', 'size_bytes', 'files', 'files_free', 'readonly', 'device_error')),
    f'100 - ((node_filesystem_avail_bytes{{{FS}}} * 100) / node_filesystem_size_bytes{{{FS}}})', f'node_filesystem_size_bytes{{{FS}}} - node_filesystem_avail_bytes{{{FS}}}',
    f'100 - ((node_filesystem_avail_bytes{{{ROOT}}} * 100) / node_filesystem_size_bytes{{{ROOT}}})', f'node_filesystem_size_bytes{{{ROOT}}}',
    # network
    *(f'irate(node_network_{way}_bytes_total{{$S}}[$R])*8' for way in ('receive', 'transmit')),
    *(f'node_tcp_connection_states{{state="{state}",$S}}' for state in ('established', 'fin_wait2', 'listen', 'time_wait')),
    # sensors
    *(f'node_hwmon_temp_{what}celsius{{$S}} * on(chip) group_left(chip_name) node_hwmon_chip_names{{$S}}' for what in ('', 'crit_alarm_', 'crit_', 'crit_hyst_', 'max_')),
    # the exporter itself
    'irate(process_cpu_seconds_total{$S}[$R])', 'process_max_fds{$S}', 'process_open_fds{$S}', 'process_resident_memory_bytes{$S}',
    'irate(process_virtual_memory_bytes{$S}[$R])', 'irate(process_virtual_memory_max_bytes{$S}[$R])',
]

# --- cAdvisor ---

ANY = 'instance=~"$I",name=~"$C",name=~".+"'
HOST = 'id="/",instance=~"$I"'
SYSTEM = 'device=~"^/dev/.+$",id="/",instance=~"$I"'
CONTAINERS = [
    f'sum(rate(container_cpu_usage_seconds_total{{{ANY}}}[5m])) by (name) *100',
    *(f'sum({name}{{{ANY}}}) by (name)' for name in ('container_memory_rss', 'container_memory_cache', 'container_memory_usage_bytes', 'container_memory_swap')),
    *(f'sum(rate(container_network_{way}_bytes_total{{{ANY}}}[5m])) by (name)' for way in ('receive', 'transmit')),
    f'(time() - container_start_time_seconds{{{ANY}}})/86400', 'count(rate(container_last_seen{name=~".+"}[$R]))', 'count(container_last_seen{image!=""})',
    'sum(rate(container_cpu_system_seconds_total{name=~".+"}[1m]))', 'sum(rate(container_cpu_user_seconds_total{image!=""}[1m])) by (name)',
    'sort_desc(sum by (name) (rate(container_network_transmit_bytes_total{image!=""}[1m])))', 'topk(5, sum by (name) (container_memory_working_set_bytes{image!=""}))',
    'sum by (name) (rate(container_fs_reads_bytes_total{name=~".+"}[1m]) + rate(container_fs_writes_bytes_total{name=~".+"}[1m]))',
    'sum(container_memory_usage_bytes{name=~".+"}) by (name) / sum(container_spec_memory_limit_bytes{name=~".+"} > 0) by (name)',
    'sum(rate(container_cpu_usage_seconds_total{name=~".+"}[1m])) by (name) / sum(container_spec_cpu_quota{name=~".+"} / container_spec_cpu_period{name=~".+"}) by (name)',
    'rate(container_cpu_cfs_throttled_seconds_total{name=~".+"}[1m])', 'rate(container_memory_failcnt{name=~".+"}[1m])', 'container_oom_events_total{name=~".+"}',
    'sum(container_processes{name=~".+"})', 'container_threads{name=~".+"}',
    # the machine as a whole
    f'sum (rate (container_network_receive_bytes_total{{{HOST}}}[1m]))', f'- sum (rate (container_network_transmit_bytes_total{{{HOST}}}[1m]))',
    f'sum (container_memory_working_set_bytes{{{HOST}}}) / sum (machine_memory_bytes{{instance=~"$I"}}) * 100', 'sum (machine_memory_bytes)',
    f'sum (rate (container_cpu_usage_seconds_total{{{HOST}}}[1m])) / sum (machine_cpu_cores{{instance=~"$I"}}) * 100', 'sum (machine_cpu_cores)',
    f'sum (container_fs_usage_bytes{{{SYSTEM}}}) / sum (container_fs_limit_bytes{{{SYSTEM}}}) * 100', f'sum (container_fs_limit_bytes{{{SYSTEM}}})',
    'container_scrape_error',
]

# --- Kubernetes: cAdvisor's figures by pod ---

POD = 'job="$J",namespace="$N",pod="$P",container!=""'
PODS = [
    f'sum by (container) (rate(container_cpu_usage_seconds_total{{{POD},image!=""}}[5m]))',
    f'sum(increase(container_cpu_cfs_throttled_periods_total{{{POD}}}[$R])) by (container) /sum(increase(container_cpu_cfs_periods_total{{{POD}}}[$R])) by (container)',
    f'sum(max by (namespace, pod, container)(container_memory_working_set_bytes{{{POD}, image!=""}})) by (container)',
    *(f'sum(max by (namespace, pod, container)({name}{{{POD}, container != "POD"}})) by (container)' for name in
      ('container_memory_rss', 'container_memory_cache', 'container_memory_swap')),
    *(f'sum(rate(container_network_{what}_total{{job="$J", namespace="$N", pod=~"$P"}}[$R])) by (pod)' for what in
      ('receive_bytes', 'transmit_bytes', 'receive_packets', 'transmit_packets', 'receive_packets_dropped', 'transmit_packets_dropped')),
    *(f'ceil(sum by(pod) (rate(container_fs_{what}_total{{job="$J", device=~"(/dev/)?(mmcblk.p.+|nvme.+|sd.+|vd.+|dm-.+)", container!="", namespace="$N", pod=~"$P"}}[$R])))' for what in
      ('reads', 'writes', 'reads_bytes', 'writes_bytes')),
    f'sum by(container) (rate(container_fs_reads_total{{{POD}}}[$R]) + rate(container_fs_writes_total{{{POD}}}[$R]))',
]

# --- dcgm-exporter ---

GPU = 'Hostname=~"$H", gpu=~"$G"'
GPUS = [
    f'max(DCGM_FI_DEV_GPU_TEMP{{{GPU}}}) by (Hostname, gpu, uuid)', f'avg(DCGM_FI_DEV_GPU_TEMP{{{GPU}}})', f'max(DCGM_FI_DEV_POWER_USAGE{{{GPU}}}) by (Hostname, gpu, uuid)',
    f'sum(max(DCGM_FI_DEV_POWER_USAGE{{{GPU}}}) by (gpu))', f'max(DCGM_FI_DEV_SM_CLOCK{{{GPU}}} * 1000000) by (Hostname, UUID, gpu)',
    *(f'max({name}{{{GPU}}}) by (Hostname, gpu, GPU_I_ID, GPU_I_PROFILE)' for name in
      ('DCGM_FI_PROF_GR_ENGINE_ACTIVE', 'DCGM_FI_PROF_PIPE_TENSOR_ACTIVE', 'DCGM_FI_DEV_FB_USED')),
    *(f'DCGM_FI_DEV_{name}{{{GPU}}}' for name in ('GPU_UTIL', 'MEM_COPY_UTIL', 'FB_FREE', 'FB_USED', 'MEM_CLOCK', 'XID_ERRORS')),
    f'DCGM_FI_DEV_FB_USED{{{GPU}}} / (DCGM_FI_DEV_FB_USED{{{GPU}}} + DCGM_FI_DEV_FB_FREE{{{GPU}}}) * 100',
    f'sum by (modelName) (rate(DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{{GPU}}}[$R]))', f'avg by (gpu) (DCGM_FI_DEV_GPU_UTIL{{modelName=~".+",{GPU}}})',
    'sum by (project, user) (DCGM_FI_DEV_POWER_USAGE{project!=""})',
    *(f'avg(DCGM_FI_PROF_{name}{{{GPU}}})' for name in ('SM_ACTIVE', 'SM_OCCUPANCY', 'DRAM_ACTIVE', 'PIPE_FP64_ACTIVE', 'PIPE_FP32_ACTIVE', 'PIPE_FP16_ACTIVE')),
    f'sum by (Hostname) (DCGM_FI_PROF_PCIE_TX_BYTES{{{GPU}}} + DCGM_FI_PROF_PCIE_RX_BYTES{{{GPU}}})',
]

# What only this machine's own kernel, or only the trees, can show.
SWITCHED_ON = ('processes', 'interrupts', 'tcpstat')


class Wall:
    """A server that scrapes this machine ("here") and one that is made of files ("there")."""

    def __init__(self, strata):
        self.strata = strata

    def fill(self, query, machine):
        """As Grafana fills in variables of one value, of several and of All."""
        for name, value in {'$S': f'instance="{machine}",job="{machine}"', '$R': '1m', '$D': '[a-z]+|nvme[0-9]+n[0-9]+|mmcblk[0-9]+|[a-z]+[0-9]+', '$I': '.*', '$C': '.*',
                            '$J': machine, '$N': 'ml', '$P': 'train-0', '$H': f'({re.escape(os.uname().nodename)}|elsewhere)'.replace('\\', '\\\\'), '$G': '(0|1)'}.items():
            query = query.replace(name, value)
        return query

    def draws(self, query, machine):
        """The series of a panel: those of a range, and of the end of it."""
        end = time.time()
        filled = self.fill(query, machine)
        ranged = ask(self.strata, '/query_range', method='POST', query=filled, start=f'{end - 900:.3f}', end=f'{end:.3f}', step='15')['data']
        assert ranged['resultType'] == 'matrix'
        return ranged['result'] or ask(self.strata, '/query', method='POST', query=filled, time=f'{end:.3f}')['data']['result']

    def empty(self, queries, machines):
        return [q for q in queries if not any(self.draws(q, machine) for machine in machines)]


def machine(root):
    """One tree with everything: containers of all engines beside the hardware."""
    container_tree(root, 2)
    everything = {}
    for name, (_, files) in trees.AREAS.items():
        everything.update(files if name != 'btrfs' else {})
    have = {p for p in everything if (root / p).exists() or (root / p).is_symlink()}
    everything |= trees.SOCKETS | {'proc/1/mounts': '/dev/sda1 / ext4 rw 0 0\n', 'proc/1/net/dev': NET}
    with open(root / 'proc/meminfo', 'a') as f:
        f.write('HardwareCorrupted:     0 kB\n')  # this kernel does not look for it
    return trees.write(root, {p: text for p, text in everything.items() if p not in have})


@pytest.fixture(scope='module')
def wall(scratch, tmp_path_factory):
    tmp = tmp_path_factory.mktemp('wall')
    more = [f'--collector={name}' for name in SWITCHED_ON]
    here = Program(exporter(*more), tmp)
    there = Program(exporter(*paths(machine(tmp / 'there')), *more, f'--nvml={NVML}'), tmp)
    config = pathlib.Path(tempfile.mkdtemp(prefix='strata-wall-', dir='/tmp')) / 'scrape.yml'  # where the user strata may read
    config.parent.chmod(0o755)
    config.write_text('global: {scrape_interval: 1s}\nscrape_configs:\n' + ''.join(
        f'- job_name: {name}\n  static_configs: [{{targets: ["{p.listen}"], labels: {{instance: {name}}}}}]\n' for name, p in (('here', here), ('there', there))))
    s = Strata(pathlib.Path(tempfile.mkdtemp(prefix='wall-', dir=scratch)) / 'state', args=(
        '--set', f'metrics.scrape_config={config}', '--set', 'exporter.collectors=tcpstat  processes')).start()
    try:
        for job in ('here', 'there'):
            wait_for(lambda: ask(s, '/query', query=f'rate(node_time_seconds{{job="{job}"}}[1m])')['data']['result'], 60, f'two scrapes of {job}')
        yield Wall(s)
    finally:
        s.stop()
        here.stop()
        there.stop()
        shutil.rmtree(config.parent)
    s.check_log()


def test_the_wall_of_node_exporter(wall):
    assert wall.empty(NODE, ('here', 'there')) == []


def test_the_wall_of_cadvisor(wall):
    assert wall.empty(CONTAINERS, ('there',)) == []
    assert wall.empty(PODS, ('there',)) == []


def test_the_wall_of_dcgm_exporter(wall):
    assert wall.empty(GPUS, ('there',)) == []


def test_the_servers_own_exporter_shows_what_it_was_asked_for(wall):
    [told] = json.loads(wait_for(lambda: [p.read_text() for p in [wall.strata.state / 'metrics/exporter.json'] if p.exists()], 20, 'it tells where it is')[0])
    page = requests.get(f'http://{told["targets"][0]}/metrics', timeout=30).text
    assert 'node_tcp_connection_states{' in page and 'node_processes_pids ' in page and 'node_interrupts_total{' not in page
    for names, words in (('cpu nonsense', 'there is no collector "nonsense"'), ('cpu ' * 65, 'more than 64 names')):
        r = subprocess.run([wall.strata.binary, 'up', '--state', str(wall.strata.state.parent / 'none'), '--set', f'exporter.collectors={names}'],
                           capture_output=True, text=True, timeout=60)
        assert r.returncode == 65 and f'exporter.collectors: {words}' in r.stderr
