package stream

import (
	"context"
	"math"
	"strings"
	"sync"
	"testing"

	"weld/format"
	"weld/mmapio"
)

// disk stands for the page cache of a plan's inputs, and counts what it lacks.
type disk struct {
	mu   sync.Mutex
	read int64 // bytes of pages
}

// onDisk is an input whose pages are read when they are announced or lent, and dropped when they are done with.
type onDisk struct {
	format.Checkpoint
	*disk
	pages map[int][]bool
}

const diskPage = 4 << 10

func (d *onDisk) touch(i int, off, n int64, there bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pages[i] == nil {
		d.pages[i] = make([]bool, (d.Tensors()[i].Bytes()+diskPage-1)/diskPage)
	}
	for p := off / diskPage; p < (off+n+diskPage-1)/diskPage; p++ {
		if there && !d.pages[i][p] {
			d.read += diskPage
		}
		whole := p*diskPage >= off && min((p+1)*diskPage, d.Tensors()[i].Bytes()) <= off+n
		if there || whole {
			d.pages[i][p] = there
		}
	}
}

func (d *onDisk) View(i int, off, n int64) (mmapio.View, error) {
	d.touch(i, off, n, true)
	return d.Checkpoint.View(i, off, n)
}

// Advise implements [format.Advised].
func (d *onDisk) Advise(a mmapio.Advice, i int, off, n int64) {
	d.touch(i, off, n, a == mmapio.Soon)
}

// What a plan says that disks will read is what they read, whatever the method, where the page cache holds all, some or nothing of the inputs for a
// later look.
func TestForecast(t *testing.T) {
	p := newFamily(2, describe("a", format.BF16, 1100, 1000), describe("b", format.BF16, 70, 1000), describe("c", format.BF16, 3500, 1000), describe("d", format.BF16, 900)).save(t)
	all := append(everyMethod(), ask("sta", "preset=paper", "statistic=mean_grad"), ask("sta", "preset=paper", "statistic=mean_grad", "scope=tensor"),
		ask("sta", "preset=weighted"), ask("sta", "preset=paper", "statistic=mean_grad", "contrast=true"), ask("sce", "select_topk=0.5"), ask("fisher_arithmetic"))
	for _, q := range all {
		for name, c := range map[string]struct {
			drop         bool
			views, pages int64
		}{
			"all is kept": {false, 100 << 20, 1 << 40}, "nothing": {true, 0, 0}, "some": {true, 1 << 20, 12 << 20}, "all that is needed": {true, 1 << 20, 100 << 20},
		} {
			if q.method == "sta" && c.pages < 100<<20 {
				continue // a method that has not begun does not know what its first walk spares the last; and samples of so few elements mislead
			}
			t.Run(q.method+" "+strings.Join(q.settings, " ")+", "+name, func(t *testing.T) {
				out := p.out("out")
				plan := p.plan(t, q, out, Options{Threads: 1, Force: true})
				defer plan.Close()
				b := &plan.Budget
				b.Drop, b.Views, b.Pages, b.Ahead, b.Span = c.drop, c.views, c.pages, 256<<10, 512<<10
				disk := new(disk)
				for i := range plan.Opened {
					in := &plan.Opened[i]
					in.Checkpoint = &onDisk{in.Checkpoint, disk, make(map[int][]bool)}
				}
				f := plan.Forecast()
				if _, err := plan.Merge(context.Background()); err != nil {
					t.Fatal(err)
				}
				if ratio := float64(f.Once+f.Again) / float64(disk.read); math.Abs(ratio-1) > 0.02 {
					t.Errorf("told are %d bytes and %d again, %d are read: %.3f", f.Once, f.Again, disk.read, ratio)
				}
			})
		}
	}
}
