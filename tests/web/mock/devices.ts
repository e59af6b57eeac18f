// The devices of the mock: two GPUs for the running runs, one that somebody else uses, one of each trouble, and a CPU slot.
import type { components } from '../../../web/src/api/schema.d.ts';
import type { World } from './fixtures.ts';

type Schemas = components['schemas'];
type Device = Schemas['Device'];

const GPU: Omit<Device, 'id' | 'index' | 'uuid'> = {
  kind: 'gpu',
  name: 'NVIDIA RTX PRO 6000 Blackwell Workstation Edition',
  threads: 8,
  cpus: [],
  memory_total_mb: 97_887,
  memory_used_mb: 4,
  utilization_pct: 0,
  temperature_c: 38,
  power_w: 22,
  state: 'free',
  note: '',
  run: null,
  runs: [],
  since: null,
  processes: [],
};

const gpu = (index: number, more: Partial<Device>): Device => ({ ...GPU, id: `gpu${index}`, index, uuid: `GPU-5c0ffee0-0000-4000-8000-00000000000${index}`, ...more });

function leased(world: World, worker: string): Partial<Device> {
  const runs = [...world.runs.values()].filter((run) => run.device === worker && run.state === 'running');
  const first = runs[0];
  if (!first) return {};
  const refs = runs.map(({ id, name }) => ({ id, name }));
  return {
    state: 'leased',
    run: refs[0] ?? null,
    runs: refs,
    since: first.started_at,
    memory_used_mb: 21_000 * runs.length,
    utilization_pct: 97,
    temperature_c: 71,
    power_w: 412,
    processes: runs.map((run) => ({ pid: run.pid ?? 0, user: 'lab', command: `moelab-worker train --run-dir runs/${run.id}`, memory_mb: 20_480, own: true })),
  };
}

function byHand(world: World, device: Device): Device {
  const reason = world.disabled.get(device.id);
  if (reason === undefined) return device;
  if (reason === null) return { ...device, state: device.runs.length ? 'leased' : 'free', note: '' };
  return { ...device, state: 'disabled', note: `${device.id} is disabled${reason ? `: ${reason}` : ''}` };
}

export function devicesOf(world: World): Schemas['DeviceList'] {
  const cpu: Device = { ...GPU, id: 'cpu0', kind: 'cpu', index: 0, uuid: '', name: 'AMD EPYC 9354, 16 cores', cpus: [0, 1, 2, 3, 4, 5, 6, 7], memory_total_mb: 128_000, memory_used_mb: 18_200, utilization_pct: null, temperature_c: null, power_w: null };
  const devices = [
    gpu(0, leased(world, 'cpu1')),
    gpu(1, leased(world, 'cpu0')),
    gpu(2, { state: 'busy', note: 'gpu2 is used by pid 31337 of user maria (python train.py --config configs/vision/large.yaml)', memory_used_mb: 61_440, utilization_pct: 64, temperature_c: 63, power_w: 288, processes: [{ pid: 31_337, user: 'maria', command: 'python train.py --config configs/vision/large.yaml --resume', memory_mb: 61_012, own: false }] }),
    gpu(3, { state: 'quarantined', note: 'gpu3 is in quarantine for another 42 minutes: 3 runs in a row failed on it' }),
    gpu(4, { state: 'faulty', note: 'gpu4 is faulty: it has fallen off the bus', memory_total_mb: null, memory_used_mb: null, utilization_pct: null, temperature_c: null, power_w: null }),
    cpu,
  ];
  return { inventory: 'nvml', note: 'CUDA_VISIBLE_DEVICES limits the pool to 5 of 8 GPUs', devices: devices.map((device) => byHand(world, device)) };
}
