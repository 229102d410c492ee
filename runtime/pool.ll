; The fork-join pool: one per process, shared by all networks. runtime/pool.py loads it.
;
; A job is one parallel_for: its range [0, n) in `chunks` nearly equal chunks. The ticket is the atomic counter from
; which threads take them: epoch in the upper 32 bits, then 16 bits each for the first chunk not yet taken and for how
; many are left. The caller takes the first one, workers the last one: so a core mostly gets what it got in the job
; before, which its cache may still hold. The fields of a job are
; written only while no chunk is left, and a thread that read them owns its chunk only if its compare-and-exchange
; finds the ticket unchanged: so a late worker can never run a chunk of one job with the fields of another.
;
; A worker without work spins for `spin_ns`, then parks on `wake`; a caller whose workers are still busy spins as long,
; then parks on `finished`. Each side first publishes (ticket, pending), then looks whether the other is parked, all
; sequentially consistent, so that no wake-up is lost.

%context = type { ptr, ptr, i64, [4 x i64], ptr, ptr }

%pool = type {
  [64 x i8], [64 x i8], [64 x i8],          ;  0 mutex, 1 wake, 2 finished (room for every libc's pthread types)
  i64, i32,                                 ;  3 spin_ns, 4 clock: set by runtime/pool.py
  i32,                                      ;  5 pid: the process that the workers live in, -1 while being rebuilt
  i32, i32, i32, i32, i32, [28 x i8],       ;  6 workers, 7 started, 8 sleepers, 9 caller_parked, 10 exhausted, 11 -
  ptr, ptr, i64, i64, i64, [24 x i8],       ; 12 body, 13 closure, 14 n, 15 chunks, 16 limit, 17 -
  i64, [56 x i8],                           ; 18 ticket, 19 -
  i64, [56 x i8],                           ; 20 pending: chunks not yet finished, 21 -
  i32, [60 x i8]                            ; 22 busy: a caller owns the pool, 23 -
}

@terrace_pool = global %pool zeroinitializer, align 64

declare i32 @getpid()
declare i32 @clock_gettime(i32, ptr)
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_detach(i64)
declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_signal(ptr)
declare i32 @pthread_cond_broadcast(ptr)

; The time until which a thread that finds nothing to do keeps spinning, in ns of the pool's clock; with
; %offset = 0 the time now.
define internal i64 @time_after(ptr %pool, i64 %offset) {
entry:
  %time = alloca { i64, i64 }
  %clock.p = getelementptr %pool, ptr %pool, i32 0, i32 4
  %clock = load i32, ptr %clock.p
  %0 = call i32 @clock_gettime(i32 %clock, ptr %time)
  %seconds = load i64, ptr %time
  %ns.p = getelementptr { i64, i64 }, ptr %time, i32 0, i32 1
  %ns = load i64, ptr %ns.p
  %whole = mul i64 %seconds, 1000000000
  %now = add i64 %whole, %ns
  %after = add i64 %now, %offset
  ret i64 %after
}

; Takes and runs chunks of the current job until none is left for worker %id (-1: the caller). True if it ran any.
define internal i1 @work(ptr %pool, i64 %id) {
entry:
  %body.p = getelementptr %pool, ptr %pool, i32 0, i32 12
  %closure.p = getelementptr %pool, ptr %pool, i32 0, i32 13
  %n.p = getelementptr %pool, ptr %pool, i32 0, i32 14
  %chunks.p = getelementptr %pool, ptr %pool, i32 0, i32 15
  %limit.p = getelementptr %pool, ptr %pool, i32 0, i32 16
  %ticket.p = getelementptr %pool, ptr %pool, i32 0, i32 18
  %pending.p = getelementptr %pool, ptr %pool, i32 0, i32 20
  br label %look

look:
  %ran = phi i1 [ false, %entry ], [ %ran, %take ], [ true, %run ], [ true, %check_caller ], [ true, %wake_caller ]
  %ticket = load atomic i64, ptr %ticket.p acquire, align 8
  %left = and i64 %ticket, 65535
  %nothing = icmp eq i64 %left, 0
  br i1 %nothing, label %done, label %read

read:
  %body = load atomic ptr, ptr %body.p monotonic, align 8
  %closure = load atomic ptr, ptr %closure.p monotonic, align 8
  %n = load atomic i64, ptr %n.p monotonic, align 8
  %chunks = load atomic i64, ptr %chunks.p monotonic, align 8
  %limit = load atomic i64, ptr %limit.p monotonic, align 8
  %invited = icmp slt i64 %id, %limit
  br i1 %invited, label %take, label %done

take:
  %fewer = sub i64 %ticket, 1
  %without_first = add i64 %fewer, 65536
  %is_caller = icmp slt i64 %id, 0
  %taken = select i1 %is_caller, i64 %without_first, i64 %fewer
  %swap = cmpxchg ptr %ticket.p, i64 %ticket, i64 %taken acq_rel monotonic, align 8
  %mine = extractvalue { i64, i1 } %swap, 1
  br i1 %mine, label %run, label %look

run:
  %upper = lshr i64 %ticket, 16
  %first = and i64 %upper, 65535
  %end.index = add i64 %first, %left
  %last.index = sub i64 %end.index, 1
  %index = select i1 %is_caller, i64 %first, i64 %last.index
  %after = add i64 %index, 1
  %begin.n = mul i64 %n, %index
  %end.n = mul i64 %n, %after
  %begin = udiv i64 %begin.n, %chunks
  %end = udiv i64 %end.n, %chunks
  call void %body(ptr %closure, i64 %begin, i64 %end)
  %unfinished = atomicrmw sub ptr %pending.p, i64 1 seq_cst, align 8
  %last = icmp eq i64 %unfinished, 1
  br i1 %last, label %check_caller, label %look

check_caller:
  %parked.p = getelementptr %pool, ptr %pool, i32 0, i32 9
  %parked = load atomic i32, ptr %parked.p seq_cst, align 4
  %is_parked = icmp ne i32 %parked, 0
  br i1 %is_parked, label %wake_caller, label %look

wake_caller:
  %finished.p = getelementptr %pool, ptr %pool, i32 0, i32 2
  %0 = call i32 @pthread_mutex_lock(ptr %pool)
  %1 = call i32 @pthread_cond_signal(ptr %finished.p)
  %2 = call i32 @pthread_mutex_unlock(ptr %pool)
  br label %look

done:
  ret i1 %ran
}

; The life of a worker thread: work, spin, park; it never ends.
define internal ptr @worker(ptr %pool) {
entry:
  %wake.p = getelementptr %pool, ptr %pool, i32 0, i32 1
  %spin.p = getelementptr %pool, ptr %pool, i32 0, i32 3
  %started.p = getelementptr %pool, ptr %pool, i32 0, i32 7
  %sleepers.p = getelementptr %pool, ptr %pool, i32 0, i32 8
  %limit.p = getelementptr %pool, ptr %pool, i32 0, i32 16
  %ticket.p = getelementptr %pool, ptr %pool, i32 0, i32 18
  %spin_ns = load i64, ptr %spin.p
  %index = atomicrmw add ptr %started.p, i32 1 monotonic, align 4
  %id = sext i32 %index to i64
  br label %awake

awake:
  %deadline = call i64 @time_after(ptr %pool, i64 %spin_ns)
  br label %spin

spin:
  %ran = call i1 @work(ptr %pool, i64 %id)
  br i1 %ran, label %awake, label %wait

wait:
  call void @pause()
  %now = call i64 @time_after(ptr %pool, i64 0)
  %tired = icmp sgt i64 %now, %deadline
  br i1 %tired, label %park, label %spin

park:
  %0 = call i32 @pthread_mutex_lock(ptr %pool)
  %1 = atomicrmw add ptr %sleepers.p, i32 1 seq_cst, align 4
  br label %asleep

asleep:
  %ticket = load atomic i64, ptr %ticket.p seq_cst, align 8
  %limit = load atomic i64, ptr %limit.p monotonic, align 8
  %left = and i64 %ticket, 65535
  %some = icmp ne i64 %left, 0
  %invited = icmp slt i64 %id, %limit
  %get_up = and i1 %some, %invited
  br i1 %get_up, label %unpark, label %sleep

sleep:
  %2 = call i32 @pthread_cond_wait(ptr %wake.p, ptr %pool)
  br label %asleep

unpark:
  %3 = atomicrmw sub ptr %sleepers.p, i32 1 seq_cst, align 4
  %4 = call i32 @pthread_mutex_unlock(ptr %pool)
  br label %awake
}

; Builds the pool for process %pid, at first use and again in a child after fork(), where no worker survived.
define internal void @rebuild(ptr %pool) {
  %wake.p = getelementptr %pool, ptr %pool, i32 0, i32 1
  %finished.p = getelementptr %pool, ptr %pool, i32 0, i32 2
  %workers.p = getelementptr %pool, ptr %pool, i32 0, i32 6
  %ticket.p = getelementptr %pool, ptr %pool, i32 0, i32 18
  %busy.p = getelementptr %pool, ptr %pool, i32 0, i32 22
  call void @llvm.memset.p0.i64(ptr %pool, i8 0, i64 192, i1 false)
  call void @llvm.memset.p0.i64(ptr %workers.p, i8 0, i64 20, i1 false)
  %1 = call i32 @pthread_mutex_init(ptr %pool, ptr null)
  %2 = call i32 @pthread_cond_init(ptr %wake.p, ptr null)
  %3 = call i32 @pthread_cond_init(ptr %finished.p, ptr null)
  store atomic i64 0, ptr %ticket.p monotonic, align 8
  store atomic i32 1, ptr %busy.p monotonic, align 4
  ret void
}

declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)

; Starts threads until the pool has %wanted workers or the system refuses one. Needs the pool to be owned.
define internal void @hire(ptr %pool, i32 %wanted) {
entry:
  %thread = alloca i64
  %workers.p = getelementptr %pool, ptr %pool, i32 0, i32 6
  %exhausted.p = getelementptr %pool, ptr %pool, i32 0, i32 10
  br label %check

check:
  %workers = load i32, ptr %workers.p
  %exhausted = load i32, ptr %exhausted.p
  %few = icmp slt i32 %workers, %wanted
  %allowed = icmp eq i32 %exhausted, 0
  %more = and i1 %few, %allowed
  br i1 %more, label %create, label %done

create:
  %error = call i32 @pthread_create(ptr %thread, ptr null, ptr @worker, ptr %pool)
  %created = icmp eq i32 %error, 0
  br i1 %created, label %count, label %give_up

count:
  %id = load i64, ptr %thread
  %0 = call i32 @pthread_detach(i64 %id)
  %grown = add i32 %workers, 1
  store i32 %grown, ptr %workers.p
  br label %check

give_up:
  store i32 1, ptr %exhausted.p
  br label %done

done:
  ret void
}

; Returns when no chunk of the job is pending any more: spins, then parks.
define internal void @join(ptr %pool) {
entry:
  %finished.p = getelementptr %pool, ptr %pool, i32 0, i32 2
  %spin.p = getelementptr %pool, ptr %pool, i32 0, i32 3
  %parked.p = getelementptr %pool, ptr %pool, i32 0, i32 9
  %pending.p = getelementptr %pool, ptr %pool, i32 0, i32 20
  %early = load atomic i64, ptr %pending.p acquire, align 8
  %is_early = icmp eq i64 %early, 0
  br i1 %is_early, label %done, label %begin

begin:
  %spin_ns = load i64, ptr %spin.p
  %deadline = call i64 @time_after(ptr %pool, i64 %spin_ns)
  br label %spin

spin:
  %pending = load atomic i64, ptr %pending.p acquire, align 8
  %finished = icmp eq i64 %pending, 0
  br i1 %finished, label %done, label %wait

wait:
  call void @pause()
  %now = call i64 @time_after(ptr %pool, i64 0)
  %tired = icmp sgt i64 %now, %deadline
  br i1 %tired, label %park, label %spin

park:
  %0 = call i32 @pthread_mutex_lock(ptr %pool)
  store atomic i32 1, ptr %parked.p seq_cst, align 4
  br label %asleep

asleep:
  %rest = load atomic i64, ptr %pending.p seq_cst, align 8
  %over = icmp eq i64 %rest, 0
  br i1 %over, label %unpark, label %sleep

sleep:
  %1 = call i32 @pthread_cond_wait(ptr %finished.p, ptr %pool)
  br label %asleep

unpark:
  store atomic i32 0, ptr %parked.p seq_cst, align 4
  %2 = call i32 @pthread_mutex_unlock(ptr %pool)
  br label %done

done:
  ret void
}

; Hands the job to the workers, works along, and waits for the end. Needs the pool to be owned; frees it.
define internal void @fork_join(ptr %pool, ptr %body, ptr %closure, i64 %n, i64 %chunks, i64 %helpers) {
entry:
  %wake.p = getelementptr %pool, ptr %pool, i32 0, i32 1
  %sleepers.p = getelementptr %pool, ptr %pool, i32 0, i32 8
  %body.p = getelementptr %pool, ptr %pool, i32 0, i32 12
  %closure.p = getelementptr %pool, ptr %pool, i32 0, i32 13
  %n.p = getelementptr %pool, ptr %pool, i32 0, i32 14
  %chunks.p = getelementptr %pool, ptr %pool, i32 0, i32 15
  %limit.p = getelementptr %pool, ptr %pool, i32 0, i32 16
  %ticket.p = getelementptr %pool, ptr %pool, i32 0, i32 18
  %pending.p = getelementptr %pool, ptr %pool, i32 0, i32 20
  %busy.p = getelementptr %pool, ptr %pool, i32 0, i32 22
  %wanted = trunc i64 %helpers to i32
  call void @hire(ptr %pool, i32 %wanted)
  store atomic ptr %body, ptr %body.p monotonic, align 8
  store atomic ptr %closure, ptr %closure.p monotonic, align 8
  store atomic i64 %n, ptr %n.p monotonic, align 8
  store atomic i64 %chunks, ptr %chunks.p monotonic, align 8
  store atomic i64 %helpers, ptr %limit.p monotonic, align 8
  store atomic i64 %chunks, ptr %pending.p monotonic, align 8
  %ticket = load atomic i64, ptr %ticket.p monotonic, align 8
  %past = and i64 %ticket, -4294967296
  %epoch = add i64 %past, 4294967296
  %new = or i64 %epoch, %chunks
  store atomic i64 %new, ptr %ticket.p seq_cst, align 8
  %sleepers = load atomic i32, ptr %sleepers.p seq_cst, align 4
  %some_sleep = icmp sgt i32 %sleepers, 0
  br i1 %some_sleep, label %wake, label %help

wake:
  %0 = call i32 @pthread_mutex_lock(ptr %pool)
  %1 = call i32 @pthread_cond_broadcast(ptr %wake.p)
  %2 = call i32 @pthread_mutex_unlock(ptr %pool)
  br label %help

help:
  %3 = call i1 @work(ptr %pool, i64 -1)
  call void @join(ptr %pool)
  store atomic i32 0, ptr %busy.p release, align 4
  ret void
}

; The context's parallel_for. Serial when there is nothing to share or the pool is owned by someone else, an outer
; parallel_for of the same run included.
define void @terrace_parallel_for(ptr %context, ptr %body, ptr %closure, i64 %n, i64 %grain) {
entry:
  %empty = icmp sle i64 %n, 0
  br i1 %empty, label %done, label %size

size:
  %pool.p = getelementptr %context, ptr %context, i32 0, i32 1
  %threads.p = getelementptr %context, ptr %context, i32 0, i32 2
  %pool = load ptr, ptr %pool.p
  %threads = load i64, ptr %threads.p
  %step = call i64 @llvm.smax.i64(i64 %grain, i64 1)
  %grains = udiv i64 %n, %step
  %most = mul i64 %threads, 4
  %fitting = call i64 @llvm.umin.i64(i64 %most, i64 65535)
  %chunks = call i64 @llvm.umin.i64(i64 %grains, i64 %fitting)
  %one_thread = icmp sle i64 %threads, 1
  %one_chunk = icmp ule i64 %chunks, 1
  %alone = or i1 %one_thread, %one_chunk
  br i1 %alone, label %serial, label %find

find:
  %pid.p = getelementptr %pool, ptr %pool, i32 0, i32 5
  %busy.p = getelementptr %pool, ptr %pool, i32 0, i32 22
  %pid = call i32 @getpid()
  %owner = load atomic i32, ptr %pid.p acquire, align 4
  %ours = icmp eq i32 %owner, %pid
  br i1 %ours, label %claim, label %foreign

claim:
  %claim.pair = cmpxchg ptr %busy.p, i32 0, i32 1 acquire monotonic, align 4
  %claimed = extractvalue { i32, i1 } %claim.pair, 1
  br i1 %claimed, label %parallel, label %serial

foreign:
  %in_rebuild = icmp eq i32 %owner, -1
  br i1 %in_rebuild, label %serial, label %adopt

adopt:
  %adopt.pair = cmpxchg ptr %pid.p, i32 %owner, i32 -1 acquire monotonic, align 4
  %adopted = extractvalue { i32, i1 } %adopt.pair, 1
  br i1 %adopted, label %build, label %serial

build:
  call void @rebuild(ptr %pool)
  store atomic i32 %pid, ptr %pid.p release, align 4
  br label %parallel

parallel:
  %helpers = sub i64 %threads, 1
  call void @fork_join(ptr %pool, ptr %body, ptr %closure, i64 %n, i64 %chunks, i64 %helpers)
  br label %done

serial:
  call void %body(ptr %closure, i64 0, i64 %n)
  br label %done

done:
  ret void
}

declare i64 @llvm.smax.i64(i64, i64)
declare i64 @llvm.umin.i64(i64, i64)
