"""The phone desk 热线坐席 and the walk-in counter 现场受理: staff write down what a resident says."""
