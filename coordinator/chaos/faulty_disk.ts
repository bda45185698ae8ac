import type { Faults } from "../../shared/faults.ts";
import type { Disk } from "../../shared/files.ts";

/** A disk whose calls are points of the name "disk", the first of them step 0. */
export function faultyDisk(disk: Disk, faults: Faults): Disk {
  let calls = 0;
  const reach = () => faults.reach("disk", calls++);
  return {
    mkdir(path) {
      reach();
      return disk.mkdir(path);
    },
    async create(path) {
      reach();
      const file = await disk.create(path);
      return {
        write(bytes) {
          reach();
          return file.write(bytes);
        },
        sync() {
          reach();
          return file.sync();
        },
        close: () => file.close(),
      };
    },
    rename(from, to) {
      reach();
      return disk.rename(from, to);
    },
    remove(path) {
      reach();
      return disk.remove(path);
    },
    syncDir(path) {
      reach();
      return disk.syncDir(path);
    },
  };
}
