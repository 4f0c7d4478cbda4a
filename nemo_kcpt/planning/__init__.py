"""What can be known before a run, by arithmetic alone: RoPE base, steps, memory, throughput, layouts."""
