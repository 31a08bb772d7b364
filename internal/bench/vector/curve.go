package vector

import (
	"math"
	"slices"
)

// segment is a labelled stretch of rows, both ends inclusive.
type segment struct{ from, to int }

// segments lists the runs of labelled rows.
func segments(label []bool) []segment {
	var out []segment
	for i := 0; i < len(label); i++ {
		if !label[i] {
			continue
		}
		s := segment{i, i}
		for s.to+1 < len(label) && label[s.to+1] {
			s.to++
		}
		out = append(out, s)
		i = s.to
	}
	return out
}

// descending gives the rows in the order of falling score. Equal scores keep
// the order of rows.
func descending(score []float64) []int {
	order := make([]int, len(score))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case score[a] > score[b]:
			return -1
		case score[a] < score[b]:
			return 1
		}
		return 0
	})
	return order
}

// precisionRecall returns the average precision (the step-wise area: sum over
// thresholds of the recall gained times the precision there) and the best F1
// over all thresholds, both by rows and without adjustment. Without labelled
// rows both are 0.
func precisionRecall(score []float64, label []bool) (ap, bestF1 float64) {
	total := 0
	for _, l := range label {
		if l {
			total++
		}
	}
	if total == 0 {
		return 0, 0
	}
	order := descending(score)
	hits, before := 0, 0
	for i, row := range order {
		if label[row] {
			hits++
		}
		if i+1 < len(order) && score[order[i+1]] == score[row] {
			continue
		}
		precision := float64(hits) / float64(i+1)
		ap += float64(hits-before) / float64(total) * precision
		before = hits
		bestF1 = max(bestF1, 2*float64(hits)/float64(i+1+total))
	}
	return ap, bestF1
}

// vusThresholds is how many thresholds VUS-PR looks at.
const vusThresholds = 250

// vusPR is the volume under the surface of range-based precision and recall
// (Paparrizos et al., "Volume Under the Surface", PVLDB 15(11), 2022): the
// area under the curve, averaged over buffers of 0, 5, 10 ... width rows around
// the labelled segments, within which the label falls from 1 as the square
// root of the distance. Thresholds are 250 quantiles of the score.
func vusPR(score []float64, label []bool, width int) float64 {
	seq := segments(label)
	n := len(score)
	if len(seq) == 0 || n == 0 {
		return 0
	}
	order := descending(score)
	bin, predicted := make([]int, n), make([]float64, vusThresholds)
	k := 0
	limit := make([]float64, vusThresholds)
	for j := range limit {
		limit[j] = score[order[int(float64(n-1)*float64(j)/(vusThresholds-1))]]
	}
	for i, row := range order {
		for k < vusThresholds && score[row] < limit[k] {
			predicted[k] = float64(i)
			k++
		}
		bin[row] = k
	}
	for ; k < vusThresholds; k++ {
		predicted[k] = float64(n)
	}
	sum, count := 0., 0.
	for w := 0; w <= width; w += 5 {
		sum += rangeAP(label, seq, bin, predicted, w)
		count++
	}
	return sum / count
}

// rangeAP is the area for one buffer. bin is the first threshold at which a
// row is predicted.
func rangeAP(label []bool, seq []segment, bin []int, predicted []float64, window int) float64 {
	n := len(label)
	soft := softLabels(label, seq, window)
	hits, outside := make([]float64, vusThresholds+1), make([]float64, vusThresholds+1)
	positives := 0.
	for i, s := range soft {
		hits[bin[i]] += s
		if label[i] {
			positives++
		} else {
			outside[bin[i]] += s
		}
	}
	merged := merge(seq, window/2, n)
	found := make([]float64, vusThresholds+1)
	for _, s := range merged {
		first := vusThresholds
		for i := s.from; i <= s.to; i++ {
			first = min(first, bin[i])
		}
		found[first]++
	}
	area, lastRecall, tp, out, seen := 0., 0., 0., 0., 0.
	for j := range vusThresholds {
		tp, out, seen = tp+hits[j], out+outside[j], seen+found[j]
		recall := min(1, tp/((positives+positives+out)/2)) * seen / float64(len(merged))
		if predicted[j] > 0 {
			area += (recall - lastRecall) * tp / predicted[j]
		}
		lastRecall = recall
	}
	return area
}

// softLabels widens the labels by half a window to both sides.
func softLabels(label []bool, seq []segment, window int) []float64 {
	out := make([]float64, len(label))
	for i, l := range label {
		if l {
			out[i] = 1
		}
	}
	for _, s := range seq {
		for d := 1; d <= window/2; d++ {
			add := math.Sqrt(1 - float64(d)/float64(window))
			if s.to+d < len(out) {
				out[s.to+d] += add
			}
			if s.from-d >= 0 {
				out[s.from-d] += add
			}
		}
	}
	for i := range out {
		out[i] = min(out[i], 1)
	}
	return out
}

// merge widens segments by margin and joins those that then overlap.
func merge(seq []segment, margin, n int) []segment {
	var out []segment
	for _, s := range seq {
		w := segment{max(0, s.from-margin), min(n-1, s.to+margin)}
		if k := len(out) - 1; k >= 0 && out[k].to >= w.from {
			out[k].to = w.to
			continue
		}
		out = append(out, w)
	}
	return out
}
