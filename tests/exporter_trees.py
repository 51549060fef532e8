"""Trees of /proc and /sys as machines have them that the tests do not run on. Each area: the collectors of node_exporter that
read it, and the files."""


def lines(*rows):
    return ''.join(row + '\n' for row in rows)


STAT = lines('cpu  301854 612 111922 8979004 3552 2 3944 0 44 36', 'cpu0 44490 19 21045 1087069 220 1 3410 0 2 1',
             'cpu1 47869 23 16474 1110787 591 0 46 5 3 0', 'intr 8885917 17 0 0', 'ctxt 38014093', 'btime 1418183276',
             'processes 26442', 'procs_running 2', 'procs_blocked 1', 'softirq 5057579 250191 1481983 1647 211099 186066 0 1783454 622196 12499 508444')

HWMON = {
    'sys/devices/platform/coretemp.0/hwmon/hwmon0/name': 'coretemp\n',
    'sys/devices/platform/coretemp.0/hwmon/hwmon0/temp1_input': '55000\n',
    'sys/devices/platform/coretemp.0/hwmon/hwmon0/temp1_crit': '100000\n',
    'sys/devices/platform/coretemp.0/hwmon/hwmon0/temp1_crit_alarm': '0\n',
    'sys/devices/platform/coretemp.0/hwmon/hwmon0/temp1_crit_hyst': '95000\n',
    'sys/devices/platform/coretemp.0/hwmon/hwmon0/temp1_label': 'Package id 0\n',
    'sys/devices/platform/coretemp.0/hwmon/hwmon0/temp1_max': '84000\n',
    'sys/devices/platform/coretemp.0/hwmon/hwmon0/temp2_input': '54500\n',
    'sys/devices/platform/coretemp.0/hwmon/hwmon0/device': '->../../../coretemp.0',
    'sys/class/hwmon/hwmon0': '->../../devices/platform/coretemp.0/hwmon/hwmon0',
    'sys/devices/platform/nct6775.656/hwmon/hwmon1/name': 'nct6779\n',
    'sys/devices/platform/nct6775.656/hwmon/hwmon1/fan1_input': '1098\n',
    'sys/devices/platform/nct6775.656/hwmon/hwmon1/fan1_min': '0\n',
    'sys/devices/platform/nct6775.656/hwmon/hwmon1/fan1_alarm': '1\n',
    'sys/devices/platform/nct6775.656/hwmon/hwmon1/fan1_beep': '0\n',
    'sys/devices/platform/nct6775.656/hwmon/hwmon1/fan1_pulses': '2\n',
    'sys/devices/platform/nct6775.656/hwmon/hwmon1/in0_input': '792\n',
    'sys/devices/platform/nct6775.656/hwmon/hwmon1/in0_max': '1744\n',
    'sys/devices/platform/nct6775.656/hwmon/hwmon1/intrusion0_alarm': '1\n',
    'sys/devices/platform/nct6775.656/hwmon/hwmon1/pwm1': '153\n',
    'sys/devices/platform/nct6775.656/hwmon/hwmon1/pwm1_enable': '5\n',
    'sys/devices/platform/nct6775.656/hwmon/hwmon1/beep_enable': '0\n',
    'sys/devices/platform/nct6775.656/hwmon/hwmon1/temp1_type': '4\n',
    'sys/devices/platform/nct6775.656/hwmon/hwmon1/device': '->../../../nct6775.656',
    'sys/class/hwmon/hwmon1': '->../../devices/platform/nct6775.656/hwmon/hwmon1',
    'sys/class/hwmon/hwmon2/name': 'acpi fan-2\n',
    'sys/class/hwmon/hwmon2/power1_average': '181500000\n',
    'sys/class/hwmon/hwmon2/power1_average_interval': '1000\n',
    'sys/class/hwmon/hwmon2/power1_cap': '250000000\n',
    'sys/class/hwmon/hwmon2/power1_accuracy': '95.0%\n',
    'sys/class/hwmon/hwmon2/energy1_input': '12345678901\n',
    'sys/class/hwmon/hwmon2/curr1_input': '1500\n',
    'sys/class/hwmon/hwmon2/curr1_crit': '2000\n',
    'sys/class/hwmon/hwmon2/humidity1_input': '45000\n',
    'sys/class/hwmon/hwmon2/freq1_input': '852000000\n',
    'sys/class/hwmon/hwmon2/freq1_label': 'sclk\n',
    'sys/class/hwmon/hwmon2/update_interval': '1000\n',
    'sys/class/hwmon/hwmon2/cpu0_vid': '1200\n',
    'sys/class/hwmon/hwmon2/vrm': '90\n',
    'sys/class/hwmon/hwmon2/in1_fault': '0\n',
    'sys/class/hwmon/hwmon2/not_a_sensor': '1\n',
    'sys/class/hwmon/hwmon2/temp9_input': 'nonsense\n',
}

EDAC = {
    'sys/devices/system/edac/mc/mc0/ce_count': '1\n', 'sys/devices/system/edac/mc/mc0/ce_noinfo_count': '2\n',
    'sys/devices/system/edac/mc/mc0/ue_count': '5\n', 'sys/devices/system/edac/mc/mc0/ue_noinfo_count': '6\n',
    'sys/devices/system/edac/mc/mc0/csrow0/ce_count': '3\n', 'sys/devices/system/edac/mc/mc0/csrow0/ue_count': '4\n',
    'sys/devices/system/edac/mc/mc1/ce_count': '0\n', 'sys/devices/system/edac/mc/mc1/ce_noinfo_count': '0\n',
    'sys/devices/system/edac/mc/mc1/ue_count': '0\n', 'sys/devices/system/edac/mc/mc1/ue_noinfo_count': '0\n',
}

_PORT = 'sys/class/infiniband/mlx4_0/ports/1/'
INFINIBAND = {
    'sys/class/infiniband/mlx4_0/board_id': 'SM_1141000001000\n', 'sys/class/infiniband/mlx4_0/fw_ver': '2.31.5050\n',
    'sys/class/infiniband/mlx4_0/hca_type': 'MT4099\n', _PORT + 'state': '4: ACTIVE\n', _PORT + 'phys_state': '5: LinkUp\n',
    _PORT + 'rate': '40 Gb/sec (4X QDR)\n',
    **{_PORT + 'counters/' + name: f'{value}\n' for value, name in enumerate((
        'excessive_buffer_overrun_errors', 'link_downed', 'link_error_recovery', 'local_link_integrity_errors',
        'multicast_rcv_packets', 'multicast_xmit_packets', 'port_rcv_constraint_errors', 'port_rcv_data', 'port_rcv_discards',
        'port_rcv_errors', 'port_rcv_packets', 'port_rcv_remote_physical_errors', 'port_rcv_switch_relay_errors',
        'port_xmit_constraint_errors', 'port_xmit_data', 'port_xmit_discards', 'port_xmit_packets', 'port_xmit_wait',
        'symbol_error', 'unicast_rcv_packets', 'unicast_xmit_packets', 'VL15_dropped'), 1000)},
    'sys/class/infiniband/i40iw0/board_id': 'I40IW Board ID\n', 'sys/class/infiniband/i40iw0/fw_ver': '0.2\n',
    'sys/class/infiniband/i40iw0/hca_type': 'I40IW\n', 'sys/class/infiniband/i40iw0/ports/1/state': '4: ACTIVE\n',
    'sys/class/infiniband/i40iw0/ports/1/phys_state': '5: LinkUp\n',
    'sys/class/infiniband/i40iw0/ports/1/rate': '10 Gb/sec (4X)\n',
    'sys/class/infiniband/i40iw0/ports/1/counters/VL15_dropped': 'N/A (no PMA)\n',
}

NFS = {'proc/net/rpc/nfs': lines(
    'net 70 71 69 45', 'rpc 1218785755 374636 1218815394', 'proc2 18 16 57 74 52 71 73 45 86 0 52 83 61 17 53 50 23 70 82',
    'proc3 22 0 1061909262 48906 4077635 117661341 5 29391916 2570425 2993289 590 0 0 7815 15 1130 0 3983 92385 13332 2 1 23729',
    'proc4 48 98 51 54 83 85 23 24 1 28 73 68 83 12 84 39 68 59 58 88 29 74 69 96 21 84 15 53 86 54 66 56 97 36 49 32 85 81 11 58 32 67 13 28 35 90 1 26 0')}

NFSD = {'proc/net/rpc/nfsd': lines(
    'rc 0 6 18622', 'fh 0 0 0 0 0', 'io 157286400 72864', 'th 8 0 0.000 0.000 0.000 0.000 0.000 0.000 0.000 0.000 0.000 0.000',
    'ra 32 0 0 0 0 0 0 0 0 0 0 0', 'net 972 55 917 1', 'rpc 18628 3 1 2 0',
    'proc2 18 2 69 0 0 4410 0 0 0 0 0 0 0 0 0 0 0 99 2',
    'proc3 22 2 112 0 2719 111 0 0 0 0 0 0 0 0 0 0 0 27 216 0 2 1 0', 'proc4 2 2 10853',
    'proc4ops 72 0 0 0 1098 2 0 0 0 0 8179 5896 0 0 0 0 5900 0 0 2 0 2 0 9609 0 2 150 1272 0 0 0 1236 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0'
    ' 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0')}

MDADM = {'proc/mdstat': lines(
    'Personalities : [raid1] [raid6] [raid5] [raid4] [raid10]', '',
    'md3 : active raid6 sda1[8] sdh1[7] sdg1[6] sdf1[5] sde1[11] sdd1[3] sdc1[10] sdb1[9] sdd1[10](S) sdd2[11](S)',
    '      5853468288 blocks super 1.2 level 6, 64k chunk, algorithm 2 [8/8] [UUUUUUUU]', '',
    'md127 : active raid1 sdi2[0] sdj2[1]', '      312319552 blocks [2/2] [UU]', '',
    'md0 : active raid1 sdk[2](S) sdi1[0] sdj1[1]', '      248896 blocks [2/2] [UU]', '',
    'md4 : inactive raid1 sda3[0](F) sdb3[1](S)', '      4883648 blocks [2/2] [UU]', '',
    'md6 : active raid1 sdb2[2](F) sdc[1](S) sda2[0]', '      195310144 blocks [2/1] [U_]',
    '      [=>...................]  recovery =  8.5% (16775552/195310144) finish=17.0min speed=259783K/sec', '',
    'md8 : active raid1 sdb1[1] sda1[0] sdc[2](S) sde[3](S)', '      195310144 blocks [2/2] [UU]',
    '      [=>...................]  resync =  8.5% (16775552/195310144) finish=17.0min speed=259783K/sec', '',
    'md201 : active raid1 sda3[0] sdb3[1]', '      1993728 blocks super 1.2 [2/2] [UU]',
    '      [=>...................]  check =  5.7% (114176/1993728) finish=0.2min speed=114176K/sec', '',
    'md7 : active raid6 sdb1[0] sde1[3] sdd1[2] sdc1[1](F)',
    '      7813735424 blocks super 1.2 level 6, 512k chunk, algorithm 2 [4/3] [U_UU]', '      bitmap: 0/30 pages [0KB], 65536KB chunk',
    '', 'md9 : active raid1 sdc2[2] sdd2[3] sdb2[1] sda2[0] sde[4](F) sdf[5](F) sdg[6](S)',
    '      523968 blocks super 1.2 [4/4] [UUUU]', '      resync=DELAYED', '',
    'md10 : active raid0 sda1[0] sdb1[1]', '      314159265 blocks 64k chunks', '',
    'md101 : active (read-only) raid0 sdb[2] sdd[1] sdc[0]', '      322560 blocks super 1.2 512k chunks', '',
    'md219 : inactive sdb[2](S) sdc[1](S) sda[0](S)', '        7932 blocks super external:imsm', '',
    'unused devices: <none>')}

SCHEDSTAT = {'proc/schedstat': lines(
    'version 15', 'timestamp 15819019232', 'cpu0 498494191 0 3533438552 2553969831 3853684107 2465731542 2045936778163 343796328169361 4767485306',
    'domain0 00000000,00000003 212499247 210112015 1861015', 'cpu1 518377256 0 4155211005 2778589869 10466382 2867629021 1904686152592 364107263788241 5145567945')}

_CPU = 'sys/devices/system/cpu/cpu%d/cpufreq/'
CPUFREQ = {
    'proc/stat': STAT,
    **{(_CPU % cpu) + name: value for cpu in (0, 1) for name, value in (
        ('cpuinfo_min_freq', '800000\n'), ('cpuinfo_max_freq', '3700000\n'), ('scaling_cur_freq', f'{1219917 + cpu}\n'),
        ('scaling_min_freq', '800000\n'), ('scaling_max_freq', '3700000\n'), ('scaling_governor', 'powersave\n'),
        ('scaling_available_governors', 'performance powersave\n'), ('scaling_driver', 'intel_pstate\n'),
        ('related_cpus', f'{cpu}\n'), ('scaling_setspeed', '<unsupported>\n'))},
    _CPU % 0 + 'cpuinfo_cur_freq': '1699981\n',
}

THERMAL = {
    'sys/class/thermal/thermal_zone0/type': 'cpu-thermal\n', 'sys/class/thermal/thermal_zone0/temp': '12376\n',
    'sys/class/thermal/thermal_zone0/policy': 'step_wise\n',
    'sys/class/thermal/cooling_device0/type': 'Processor\n', 'sys/class/thermal/cooling_device0/cur_state': '0\n',
    'sys/class/thermal/cooling_device0/max_state': '3\n',
}

RAPL = {
    'sys/class/powercap/intel-rapl:0/name': 'package-0\n', 'sys/class/powercap/intel-rapl:0/energy_uj': '240422366267\n',
    'sys/class/powercap/intel-rapl:0/max_energy_range_uj': '262143328850\n',
    'sys/class/powercap/intel-rapl:0:0/name': 'core\n', 'sys/class/powercap/intel-rapl:0:0/energy_uj': '118821284256\n',
    'sys/class/powercap/intel-rapl:0:0/max_energy_range_uj': '262143328850\n',
    'sys/class/powercap/intel-rapl:a/name': 'package-10\n', 'sys/class/powercap/intel-rapl:a/energy_uj': '240422366267\n',
    'sys/class/powercap/intel-rapl:a/max_energy_range_uj': '262143328850\n',
}

_SUPPLY = (  # the numbers that the kernel has for a supply
    'authentic', 'calibrate', 'capacity', 'capacity_alert_max', 'capacity_alert_min', 'charge_control_limit', 'charge_control_limit_max',
    'charge_counter', 'charge_empty', 'charge_empty_design', 'charge_full', 'charge_full_design', 'charge_now', 'charge_term_current',
    'constant_charge_current', 'constant_charge_current_max', 'constant_charge_voltage', 'constant_charge_voltage_max', 'current_boot',
    'current_max', 'current_now', 'cyclecount', 'energy_empty', 'energy_empty_design', 'energy_full', 'energy_full_design', 'energy_now',
    'input_current_limit', 'online', 'power_now', 'precharge_current', 'present', 'temp', 'temp_alert_max', 'temp_alert_min',
    'temp_ambient', 'temp_ambient_max', 'temp_ambient_min', 'temp_max', 'temp_min', 'time_to_empty_avg', 'time_to_empty_now',
    'time_to_full_avg', 'time_to_full_now', 'voltage_boot', 'voltage_max', 'voltage_max_design', 'voltage_min', 'voltage_min_design',
    'voltage_now', 'voltage_ocv')
POWER = {
    **{f'sys/class/power_supply/BAT0/{k}': f'{v}000\n' for v, k in enumerate(_SUPPLY, 36580)},
    **{'sys/class/power_supply/BAT0/' + k: v + '\n' for k, v in {
        'capacity_level': 'Normal', 'charge_type': 'Fast', 'health': 'Good', 'manufacturer': 'LGC', 'model_name': 'LNV-45N1', 'scope': 'System',
        'serial_number': '38109', 'status': 'Discharging', 'technology': 'Li-ion', 'type': 'Battery', 'usb_type': 'C'}.items()},
    'sys/class/power_supply/AC/online': '0\n', 'sys/class/power_supply/AC/type': 'Mains\n',
}

BONDING = {
    'sys/class/net/bonding_masters': 'bond0 dmz int\n', 'sys/class/net/bond0/bonding/slaves': '\n',
    'sys/class/net/dmz/bonding/slaves': 'eth0 eth4\n', 'sys/class/net/int/bonding/slaves': 'eth5 eth1\n',
    **{f'sys/class/net/{m}/lower_{s}/bonding_slave/mii_status': f'{state}\n' for m, s, state in (
        ('dmz', 'eth0', 'up'), ('dmz', 'eth4', 'up'), ('int', 'eth5', 'down'), ('int', 'eth1', 'up'))},
}

NVME = {'sys/class/nvme/nvme0/' + k: v for k, v in {
    'firmware_rev': '1B2QEXP7\n', 'model': 'Samsung SSD 970 PRO 512GB               \n', 'serial': 'S680HF8N190894I     \n',
    'state': 'live\n'}.items()}

XFS = {'sys/fs/xfs/sda1/stats/stats': lines(
    'extent_alloc 1 0 2 0', 'abt 10 11 12 13', 'blk_map 61 29 1 1 1 91 0', 'bmbt 20 21 22 23', 'dir 3 2 1 52', 'trans 4 40 5', 'ig 5 1 3 4 1 5 1',
    'log 8 21 0 5821 4', 'push_ail 44 0 1 0 0 0 0 3 0 0', 'xstrat 1 0', 'rw 28 0', 'attr 4 1 2 3', 'icluster 1 2 3', 'vnodes 4 1 2 1 1 1 1 0',
    'buf 1 2 3 4 5 6 7 8 9', 'abtb2 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0', 'xpc 399724544 92823103 86219234', 'debug 0')}

_FS = 'sys/fs/btrfs/0abb23a9-579b-43e6-ad30-227ef47fcb9d/'
BTRFS = {
    'proc/mounts': '', 'proc/self/mounts': '', 'proc/1/mounts': '', 'sys/fs/btrfs/features/raid56': '0\n',
    _FS + 'label': 'fixture\n', _FS + 'allocation/global_rsv_size': '16777216\n', _FS + 'allocation/global_rsv_reserved': '16777216\n',
    _FS + 'devices/loop25/size': '20971520\n', _FS + 'devices/loop26/size': '20971520\n',
    _FS + 'features/skinny_metadata': '1\n', _FS + 'nodesize': '16384\n', _FS + 'sectorsize': '4096\n', _FS + 'clone_alignment': '4096\n', _FS + 'quota_override': '0\n',
    _FS + 'metadata_uuid': '0abb23a9-579b-43e6-ad30-227ef47fcb9d\n',
    **{_FS + f'allocation/{kind}/{file}': f'{at + i}\n' for at, kind in ((100, 'data'), (200, 'metadata'), (300, 'system'))
       for i, file in enumerate(('bytes_may_use', 'bytes_pinned', 'bytes_readonly', 'bytes_reserved', 'bytes_used', 'disk_total',
                                 'disk_used', 'flags', 'total_bytes', 'total_bytes_pinned'))},
    **{_FS + f'allocation/{kind}/{mode}/{file}': f'{at + i}\n' for at, kind, mode in (
        (1000, 'data', 'raid0'), (2000, 'metadata', 'raid1'), (3000, 'system', 'raid1')) for i, file in enumerate(('total_bytes', 'used_bytes'))},
}

ZFS = {
    'proc/spl/kstat/zfs/arcstats': lines('6 1 0x01 91 4368 5266997922 97951858082072', 'name                            type data',
                                         'hits                            4    8772612', 'misses                          4    604635',
                                         'memory_available_bytes          3    -922337203685477580', 'c_max 4 8367976448'),
    'proc/spl/kstat/zfs/zil': lines('7 1 0x01 14 672 5266997922 97951858082072', 'name type data', 'zil_commit_count 4 10', 'zil_itx_needcopy_bytes 4 18446744073709537686'),
    'proc/spl/kstat/zfs/fm': lines('0 1 0x01 4 192 5266997922 97951858082072', 'name type data', 'erpt-dropped 4 18'),
}

_BCACHE = 'sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74/'
_BCACHE_STATS = {'bypassed': '0', 'cache_bypass_hits': '1', 'cache_bypass_misses': '2', 'cache_hits': '546', 'cache_miss_collisions': '3',
                 'cache_misses': '4', 'cache_readaheads': '5'}
BCACHE = {_BCACHE + name: value + '\n' for name, value in {
    'average_key_size': '7', 'btree_cache_size': '1.5M', 'cache_available_percent': '100', 'congested': '0', 'root_usage_percent': '10', 'tree_depth': '2',
    'internal/active_journal_entries': '1', 'internal/btree_nodes': '3', 'internal/btree_read_average_duration_us': '1305', 'internal/cache_read_races': '6',
    'bdev0/dirty_data': '512k', 'cache0/io_errors': '1', 'cache0/metadata_written': '512', 'cache0/written': '9.9G',
    'bdev0/writeback_rate_debug': 'rate:\t\t1.1M/sec\ndirty:\t\t20.4G\ntarget:\t\t20.4G\nproportional:\t427.5k\nintegral:\t790.0k\nchange:\t\t321.5k/sec\nnext io:\t17ms',
    'cache0/priority_stats': 'Unused:\t\t99%\nMetadata:\t0%\nAverage:\t10473\nSectors per Q:\t64\nQuantiles:\t[0 0]',
    **{f'{top}{period}/{name}': value for top in ('', 'bdev0/') for period in ('stats_total', 'stats_five_minute') for name, value in _BCACHE_STATS.items()},
}.items()} | {'sys/fs/bcache/register': ''}

TAPES = {f'sys/class/scsi_tape/{name}/stats/{file}': f'{at + 1000000007 * i}\n' for at, name in ((1, 'st0'), (5, 'nst0'), (9, 'st0a')) for i, file in enumerate((
    'in_flight', 'io_ns', 'other_cnt', 'read_byte_cnt', 'read_cnt', 'read_ns', 'resid_cnt', 'write_byte_cnt', 'write_cnt', 'write_ns'))}

FIBRE = {'sys/class/fc_host/host0/' + k: v for k, v in {
    'speed': '16 Gbit\n', 'port_state': 'Online\n', 'port_type': 'Point-To-Point (direct nport connection)\n', 'port_id': '0x000002\n',
    'port_name': '0x1000e0071bce95f2\n', 'node_name': '0x2000e0071bce95f2\n', 'symbolic_name': 'Emulex SN1100E2P FV12.4.270.3\n',
    'supported_classes': 'Class 3\n', 'supported_speeds': '4 Gbit, 8 Gbit, 16 Gbit\n', 'dev_loss_tmo': '30\n', 'fabric_name': '0x0\n',
    **{'statistics/' + n: f'{v:#x}\n' for v, n in enumerate((
        'dumped_frames', 'error_frames', 'fcp_packet_aborts', 'invalid_crc_count', 'invalid_tx_word_count', 'link_failure_count',
        'loss_of_signal_count', 'loss_of_sync_count', 'nos_count', 'rx_frames', 'rx_words', 'seconds_since_last_reset',
        'tx_frames', 'tx_words', 'fcp_control_requests', 'fcp_input_megabytes', 'fcp_input_requests', 'fcp_output_megabytes', 'fcp_output_requests'), 7)},
}.items()}

CONNTRACK = {
    'proc/sys/net/netfilter/nf_conntrack_count': '123\n', 'proc/sys/net/netfilter/nf_conntrack_max': '65536\n',
    'proc/net/stat/nf_conntrack': lines(
        'entries  clashres found new invalid ignore delete delete_list insert insert_failed drop early_drop icmp_error  expect_new expect_create expect_delete search_restart',
        '00000021  00000001 00000002 00000000 00000003 0000588a 00000000 00000000 0000000b 00000000 00000001 00000000 00000000  00000000 00000000 00000000 00000002',
        '00000021  00000000 00000000 00000000 00000002 000056a4 00000000 00000000 00000000 0000000a 00000000 00000004 00000000  00000000 00000000 00000000 00000001'),
}


def process(pid, name, state, threads):
    return {f'proc/{pid}/stat': f'{pid} ({name}) {state} 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 {threads} 0 9 10 11 18446744073709551615'
            + ' 0' * 27 + '\n'}


PROCESSES = {**process(1, 'systemd', 'S', 1), **process(10, 'a) R (b', 'R', 3), **process(11, 'kworker/u8:0', 'I', 1),
             **process(12, 'stuck', 'D', 7), 'proc/sys/kernel/threads-max': '7801\n', 'proc/sys/kernel/pid_max': '32768\n',
             'proc/stat': STAT, **{f'proc/{pid}/task/{pid}/stat': process(pid, 'x', state, 1)[f'proc/{pid}/stat']
                                 for pid, state in ((1, 'S'), (10, 'R'), (11, 'I'), (12, 'D'))}}

NUMA = {
    'sys/devices/system/node/node0/meminfo': lines('Node 0 MemTotal:       134182340 kB', 'Node 0 MemFree:        53030372 kB',
                                                  'Node 0 MemUsed:        81151968 kB', 'Node 0 Active(anon):   14063100 kB',
                                                  'Node 0 HugePages_Total:     0', 'Node 0 HugePages_Free:      3'),
    'sys/devices/system/node/node0/numastat': lines('numa_hit 193460335812', 'numa_miss 12624528', 'numa_foreign 59858623300',
                                                   'interleave_hit 57146', 'local_node 193454780853', 'other_node 18179487'),
    'sys/devices/system/node/node1/meminfo': lines('Node 1 MemTotal:       134217728 kB', 'Node 1 MemFree:        39634460 kB'),
    'sys/devices/system/node/node1/numastat': lines('numa_hit 326720946761', 'numa_miss 59858626709', 'other_node 59860526920'),
}

CPU = {
    'proc/stat': STAT,
    'proc/cpuinfo': ''.join(lines(
        f'processor\t: {i}', 'vendor_id\t: GenuineIntel', 'cpu family\t: 6', 'model\t\t: 142',
        'model name\t: Intel(R) Core(TM) i7-8650U CPU @ 1.90GHz', 'stepping\t: 10', 'microcode\t: 0xb4', 'cpu MHz\t\t: 799.998',
        'cache size\t: 8192 KB', 'physical id\t: 0', 'siblings\t: 8', f'core id\t\t: {i}', 'cpu cores\t: 4', 'flags\t\t: fpu aes avx',
        'bugs\t\t: spectre_v1', 'address sizes\t: 39 bits physical, 48 bits virtual', 'bogomips\t: 4224.00', '') for i in (0, 1)),
    **{f'sys/devices/system/cpu/cpu{i}/{name}': value for i in (0, 1) for name, value in (
        ('topology/physical_package_id', '0\n'), ('topology/core_id', f'{i}\n'), ('thermal_throttle/core_throttle_count', f'{i + 5}\n'),
        ('thermal_throttle/package_throttle_count', '30\n'), ('topology/core_siblings_list', '0-1\n'),
        ('topology/thread_siblings_list', f'{i}\n'))},
    'sys/devices/system/cpu/isolated': '1,3-5\n',
}

DMI = {'sys/class/dmi/id/' + k: v + '\n' for k, v in {
    'bios_date': '04/12/2021', 'bios_release': '2.2', 'bios_vendor': 'Dell Inc.', 'bios_version': '2.2.4', 'board_name': '07PXPY',
    'board_serial': '.7N62AI2.GRTCL6944100GP.', 'board_vendor': 'Dell Inc.', 'board_version': 'A01', 'chassis_asset_tag': '',
    'chassis_serial': '7N62AI2', 'chassis_type': '23', 'chassis_vendor': 'Dell Inc.', 'chassis_version': '', 'product_family': 'PowerEdge',
    'product_name': 'PowerEdge R6515', 'product_serial': '7N62AI2', 'product_sku': 'SKU=NotProvided;ModelName=PowerEdge R6515',
    'product_uuid': '83340ca8-cb49-4474-8c29-d2088ca84dd9', 'product_version': '', 'sys_vendor': 'Dell Inc.'}.items()}

DISKS = {
    'proc/diskstats': lines(
        '   8       0 sda 25354637 34367663 1003346126 18492372 28444756 11134226 505697032 63877960 0 9653880 82621804',
        '   8       1 sda1 250 0 2000 36 0 0 0 0 0 36 36', '   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0',
        ' 259       0 nvme0n1 47114 4 4643973 21650 1078320 43950 39451633 1011053 0 222766 1032546',
        ' 253       0 dm-0 59910002 0 1003337218 46229572 39231014 0 505697032 1158557800 0 11325968 1206301256',
        '   8      16 sdb 326552 841 9657779 84 41822 2895 1972905 5007 0 60730 67070 68851 0 1925173784 11130',
        '   8      32 sdc 126552 841 9657779 84 41822 2895 1972905 5007 0 60730 67070 68851 0 1925173784 11130 1555 1944'),
    'udev/b8:0': lines('S:disk/by-id/x', 'E:ID_MODEL=SAMSUNG_MZVLB1T0HBLR-000L7', 'E:ID_PATH=pci-0000:3e:00.0', 'E:ID_REVISION=1234',
                       'E:ID_SERIAL_SHORT=S3EWNX0K', 'E:ID_WWN=0x5002538e'),
    'udev/b253:0': lines('E:DM_NAME=nvme0n1_crypt', 'E:DM_UUID=CRYPT-LUKS2-jolaulot80fy9zsiobkxyxo7y2dqeho2-nvme0n1_crypt', 'E:DM_VG_NAME=system',
                         'E:DM_LV_NAME=root', 'E:ID_FS_TYPE=LVM2_member', 'E:ID_FS_USAGE=raid', 'E:ID_FS_UUID=c3C3uW', 'E:ID_FS_VERSION=LVM2 001'),
    'udev/b8:16': lines('E:ID_FS_TYPE=ext4', 'E:ID_FS_USAGE=filesystem', 'E:ID_FS_UUID=3deafd0d', 'E:ID_FS_VERSION=1.0',
                        'E:ID_MODEL=quoted "model\\'),
}

VARIOUS = {
    'proc/loadavg': '0.21 0.37 0.39 1/719 19737\n', 'proc/sys/fs/file-nr': '1024\t0\t1631329\n',
    'proc/sys/kernel/random/entropy_avail': '1337\n', 'proc/sys/kernel/random/poolsize': '4096\n',
    'proc/net/softnet_stat': lines('00015c73 00020e76 f0000769 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000',
                                   '01663fb2 00000000 000109a4 00000000 00000000 00000000 00000000 00000000 00000000 00000001 00000002 00000003 00000001'),
    'proc/net/arp': lines('IP address       HW type     Flags       HW address            Mask     Device',
                          '192.168.1.1      0x1         0x2         cc:aa:dd:ee:aa:bb     *        eth0',
                          '192.168.1.2      0x1         0x2         bb:cc:dd:ee:ff:aa     *        eth0',
                          '192.168.1.3      0x1         0x2         aa:bb:cc:dd:ee:ff     *        eth1'),
    'proc/net/udp': lines('  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops',
                          '    0: 00000000:0016 00000000:0000 0A 00000015:00000000 00:00000000 00000000     0        0 2740 1 ffff88003d3af3c0 0',
                          '    1: 00000000:0017 00000000:0000 0A 00000001:00000007 00:00000000 00000000     0        0 2741 1 ffff88003d3af3c1 0'),
    'proc/net/ip_vs_stats': lines('   Total Incoming Outgoing         Incoming         Outgoing', '   Conns  Packets  Packets            Bytes            Bytes',
                                  ' 16AA370 E33656E5        0     51D8C8883AB3        0', '', ' Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s',
                                  '       4     1FB3        0           1282A8F                0'),
    'proc/net/ip_vs': lines('IP Virtual Server version 1.2.1 (size=4096)', 'Prot LocalAddress:Port Scheduler Flags', '  -> RemoteAddress:Port Forward Weight ActiveConn InActConn'),
    'proc/pressure/cpu': 'some avg10=0.00 avg60=0.00 avg300=0.00 total=14036781\n',
    'proc/pressure/io': lines('some avg10=0.18 avg60=0.34 avg300=0.10 total=159886802', 'full avg10=0.18 avg60=0.34 avg300=0.10 total=159229614'),
    'proc/pressure/memory': lines('some avg10=0.00 avg60=0.00 avg300=0.00 total=0', 'full avg10=0.00 avg60=0.00 avg300=0.00 total=7'),
}

INTERRUPTS = {'proc/interrupts': lines(
    '            CPU0       CPU1       ', '   0:         18          0   IO-APIC   2-edge      timer', '   1:      17960        105   IO-APIC   1-edge      i8042',
    '  47:    5031      3   PCI-MSI 524288-edge      xhci_hcd  more words', ' NMI:         47       5031   Non-maskable interrupts',
    ' LOC:   174326351  135776678   Local timer interrupts', ' ERR:          0', ' MIS:          0', ' PIW:          0          0 ', ' TLB:  1 2 TLB shootdowns')}

_SOCKET = '%4d: 0100007F:%04X 00000000:0000 %02X %08X:%08X 00:00000000 00000000   999        0 27909322 1 00000000d402bed0 100 0 0 10 0'
SOCKETS = {
    'proc/net/tcp': lines('  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
                          *(_SOCKET % (i, 4000 + i, state, 16 * i, i) for i, state in enumerate((10, 1, 1, 6, 5, 4, 10)))),
    'proc/net/tcp6': lines('  sl  local_address', _SOCKET.replace('0100007F', '0' * 32).replace('00000000:0000', '0' * 32 + ':0000') % (0, 80, 10, 0, 3)),
}

# area -> (collectors, files)
AREAS = {
    'hwmon': (['hwmon'], HWMON), 'edac': (['edac'], EDAC), 'infiniband': (['infiniband'], INFINIBAND), 'nfs': (['nfs'], NFS),
    'nfsd': (['nfsd'], NFSD), 'mdadm': (['mdadm'], MDADM), 'schedstat': (['schedstat'], SCHEDSTAT), 'cpufreq': (['cpufreq'], CPUFREQ),
    'thermal': (['thermal_zone'], THERMAL), 'rapl': (['rapl'], RAPL), 'power': (['powersupplyclass'], POWER),
    'bonding': (['bonding'], BONDING), 'nvme': (['nvme'], NVME), 'xfs': (['xfs'], XFS), 'btrfs': (['btrfs'], BTRFS), 'zfs': (['zfs'], ZFS),
    'fibrechannel': (['fibrechannel'], FIBRE), 'conntrack': (['conntrack'], CONNTRACK), 'processes': (['processes'], PROCESSES),
    'numa': (['meminfo_numa'], NUMA), 'cpu': (['cpu', 'stat'], CPU), 'dmi': (['dmi'], DMI), 'disks': (['diskstats'], DISKS), 'interrupts': (['interrupts'], INTERRUPTS),
    'bcache': (['bcache'], BCACHE), 'tapes': (['tapestats'], TAPES),
    'various': (['loadavg', 'filefd', 'entropy', 'softnet', 'arp', 'udp_queues', 'ipvs', 'pressure'], VARIOUS),
}


def write(root, files):
    """"->target" is a link."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith('->'):
            path.symlink_to(text[2:])
        else:
            path.write_text(text)
    for top in ('proc', 'sys', 'root', 'udev'):
        (root / top).mkdir(exist_ok=True)
    return root

# --- Lustre: a client, and a server of metadata and objects, as versions 2.12 to 2.15 lay it out ---

_STATS = lines('snapshot_time             1790276932.808885887 secs.nsecs', 'start_time                1790276703.756800462 secs.nsecs')
_JOBS = lines('job_stats:', '- job_id:          "j-abc"', '  snapshot_time:   1537070542',
              '  read_bytes:      { samples:         256, unit: bytes, min: 4096, max: 4194304, sum:      1073741824, sumsq: 1 }',
              '  write_bytes:     { samples:           3, unit: bytes, min: 1, max: 2, sum: 5 }',
              '  punch:           { samples:           1, unit:  reqs }', '- job_id:          cp.0',
              '  read_bytes:      { samples:           9, unit: bytes, min: 7, max: 8, sum: 70 }')
LUSTRE = {
    'sys/fs/lustre/version': 'lustre: 2.15.3\n', 'sys/fs/lustre/health_check': 'healthy\n', 'proc/sys/lnet/lnet_memused': '178729063\n',
    'sys/fs/lustre/memused': '72132771\n', 'sys/fs/lustre/memused_max': '80000000\n',
    'sys/kernel/debug/lnet/stats': '0 123 1 33503282 39769486 5 2 6673532934057 3943753915256 6 7\n',
    'sys/fs/lustre/llite/scratch-ffff9239aa0c4800/blocksize': '4096\n',
    'sys/kernel/debug/lustre/llite/scratch-ffff9239aa0c4800/stats': _STATS + lines(
        'read_bytes                82152 samples [bytes] 0 1048576 86022414336', 'ioctl                     2 samples [reqs]',
        'open                      434 samples [usecs] 1 1229 10438 10028664'),
    'sys/kernel/debug/lustre/llite/scratch-ffff9239aa0c4800/read_ahead_stats': _STATS + lines(
        'hits                      10772 samples [pages]', 'read-ahead to EOF         7 samples [pages]', 'failed to fast read       5 samples [pages]'),
    'sys/fs/lustre/osd-ldiskfs/scratch-OST0000/brw_stats': lines(
        'snapshot_time:         1534158712.738772898 (secs.nsecs)', '', '                           read      |     write',
        'pages per bulk r/w     rpcs  % cum % |  rpcs        % cum %', '256:\t\t         1   2   3   |    8  88 100', '',
        '                           read      |     write', 'disk I/O size          ios   % cum % |  ios         % cum %',
        '4K:              152547869  73  73   | 30342047  40  40', '1M:\t\t         0   0   0   |   32  96 100', '',
        '                           read      |     write', '4K I/O time (1/1000s)     ios   % cum % |  ios         % cum %', '1: 5 1 1 | 6 1 1'),
    'sys/fs/lustre/osd-ldiskfs/scratch-OST0000/quota_slave/acct_user': lines(
        'usr_accounting:', '- id:      1337', '  usage:   { inodes:                  209, kbytes:                 2880 }'),
    'sys/fs/lustre/qmt/scratch-QMT0000/dt-0x0/glb-prj': lines(
        'global_pool0_dt_prj', '- id:      0', '  limits:  { hard:                    0, soft:                    0, granted:                    0, time:               604800 }',
        '- id:      7', '  limits:  { hard:               309200, soft:               307200, granted:              1025032, time:           1687277628 }'),
    'sys/fs/lustre/qmt/scratch-QMT0000/md-fast/glb-usr': lines('pool', '- id: 1', '  limits:  { hard: 5, soft: 4, granted: 3, time: 2 }'),
    'sys/kernel/debug/lustre/osc/my-fs-OST0001-osc-ffff9239aa0c4800/stats': _STATS + lines(
        'req_waittime              1714 samples [usecs] 660 63833 1483797 5629611603', 'read_bytes 12 samples [bytes] 1 2 24'),
    'sys/fs/lustre/osc/my-fs-OST0001-osc-ffff9239aa0c4800/cur_grant_bytes': '8437760\n',
    'sys/kernel/debug/lustre/mdc/scratch-MDT0000-mdc-ffff9239aa0c4800/md_stats': _STATS + 'close                     434 samples [reqs]\n',
    'sys/fs/lustre/osd-ldiskfs/scratch-MDT0000/kbytestotal': '1000\n', 'sys/fs/lustre/osd-ldiskfs/scratch-MDT0000/filesfree': '77\n',
    'sys/fs/lustre/osd-ldiskfs/scratch-OST0000/kbytestotal': '2000\n', 'sys/fs/lustre/osd-ldiskfs/scratch-OST0000/kbytesfree': '1900\n',
    'sys/fs/lustre/osd-ldiskfs/scratch-OST0000/kbytesavail': '1800\n', 'sys/fs/lustre/osd-ldiskfs/MGS/kbytestotal': '30\n',
    'proc/fs/lustre/mdt/scratch-MDT0000/md_stats': _STATS + 'open                      9 samples [usecs] 2 30 90 1000\nmknod 3 samples [reqs]\n',
    'proc/fs/lustre/mdt/scratch-MDT0000/job_stats': lines('job_stats:', '- job_id: j-abc', '  open: { samples: 4, unit: usecs, min: 1, max: 2, sum: 3 }'),
    'proc/fs/lustre/mdt/scratch-MDT0000/recovery_status': lines('status: WAITING_FOR_CLIENTS', 'time_remaining: 12', 'completed_clients: 1', 'connected_clients: 2/3'),
    'sys/fs/lustre/mdt/scratch-MDT0000/num_exports': '12\n',
    'proc/fs/lustre/obdfilter/scratch-OST0000/stats': _STATS + lines('write_bytes 5 samples [bytes] 4096 8192 30000', 'ping 3 samples [usecs] 1 2 3'),
    'proc/fs/lustre/obdfilter/scratch-OST0000/job_stats': _JOBS,
    'proc/fs/lustre/obdfilter/scratch-OST0000/recovery_status': lines('status: COMPLETE', 'recovery_duration: 57', 'completed_clients: 3/4', 'evicted_clients: 0'),
    'sys/fs/lustre/obdfilter/scratch-OST0000/num_exports': '6\n', 'sys/fs/lustre/obdfilter/scratch-OST0000/tot_granted': '999\n',
    'proc/fs/lustre/mds/MDS/mdt/stats': _STATS + 'req_waittime              7 samples [usecs] 1 2 3 4\n',
    'sys/kernel/debug/lustre/ldlm/services/ldlm_canceld/stats': _STATS + 'ldlm_cancel               8 samples [usecs] 1 2 3 4\n',
    'sys/fs/lustre/ldlm/namespaces/filter-scratch-OST0000_UUID/lock_count': '41\n',
    'sys/fs/lustre/ldlm/namespaces/scratch-OST0000-osc-ffff/lock_count': '1\n',
}
