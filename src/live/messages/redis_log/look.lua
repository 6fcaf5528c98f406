return summary()
